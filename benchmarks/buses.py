"""A message bus of one sample's own: a dbus-daemon in its directory, and what every peer on it calls things."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.machine import die_with_parent
from benchmarks.peer import Missing

SERVICE: Final = "org.acme.Benchmark"
COUNTER: Final = "/org/acme/Benchmark/counter"
COUNTER_INTERFACE: Final = "org.acme.Benchmark.Counter1"
METER: Final = "/org/acme/Benchmark/meter"
METER_INTERFACE: Final = "org.acme.Benchmark.Meter1"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"

_CONFIGURATION: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_completed_connections">1000</limit>
  <limit name="max_connections_per_user">1000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""
"""The policy and the limits of session.conf, without any folder of the system in it."""


def bus_socket(directory: Path) -> Path:
    """The socket of the bus of a sample."""
    return directory / "bus"


def bus_address(directory: Path) -> str:
    """The same as a D-Bus address."""
    return f"unix:path={bus_socket(directory)}"


def peer_address(directory: Path) -> str:
    """Where the service of a sample listens that needs no bus."""
    return f"unix:path={directory / 'peer'}"


def start_bus(directory: Path) -> int:
    """Start a dbus-daemon that ends with this process, on the cores of this process; return its id.

    Raises Missing where there is no such program.
    """
    program = shutil.which("dbus-daemon")
    if program is None:
        raise Missing("the program dbus-daemon is not installed")
    configuration = directory / "bus.conf"
    configuration.write_text(_CONFIGURATION.format(address=bus_address(directory)), encoding="utf-8")
    daemon = subprocess.Popen(
        [program, f"--config-file={configuration}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509  # there are no threads yet, and it must not outlive this process
    )
    if daemon.stdout is None or not daemon.stdout.readline():
        raise Missing("dbus-daemon ended before it printed its address")
    return daemon.pid


def bus_version() -> str:
    """The version of the dbus-daemon, for the report."""
    program = shutil.which("dbus-daemon")
    if program is None:
        return "not installed"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0].rpartition(" ")[2]
