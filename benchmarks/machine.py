"""What the machine is and what it was doing meanwhile: facts, CPU clocks, cores. Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(processes: Iterable[int]) -> float:
    """The CPU time, user and system, that these living processes have used so far, with their ended threads.

    It reads each process' own CPU clock (`clock_getcpuclockid(3)`, which Python only offers for threads; the id is
    built as the kernel's `MAKE_PROCESS_CPUCLOCK`), because /proc/PID/stat counts in ticks of 10 ms.
    """
    return sum(time.clock_gettime_ns((~process << 3) | 2) for process in processes) / 1e9


def busy_seconds(stat: str | None = None) -> float:
    """The CPU time all cores have spent on anything but idling, stolen time included, in ticks of 10 ms.

    `stat` is the text of /proc/stat (proc(5)), read now when None. Guest time is left out: user time contains it.
    """
    head = (Path("/proc/stat").read_text(encoding="ascii") if stat is None else stat).split("\n", 1)[0]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, head.split()[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK_SECONDS


def resident_bytes(process: int | None = None) -> int:
    """The memory that a process, or this one, has in RAM; what the kernel holds for its sockets is not in it."""
    pages = Path(f"/proc/{process or 'self'}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as the system lets it have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cores() -> list[int]:
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0))


def facts() -> dict[str, str]:
    """The machine in the few words a reader needs to judge a figure."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": f"{len(cores())} x {model}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, {'-'.join(platform.libc_ver())}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The installed version of each distribution, `not installed` where there is none."""
    found: dict[str, str] = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
