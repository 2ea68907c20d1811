"""The suite `dbus`: calls, property changes and signals on D-Bus, through a private bus and between peers.

Only the commands and the peers of the second part are in here: the first is measured as `rpc`, the second as `fanout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

from benchmarks import fanout, rounds
from benchmarks.buses import bus_version
from benchmarks.casts import PLACEMENTS
from benchmarks.fanout import Peer, Suite
from benchmarks.options import Parser, choice, parser
from benchmarks.peers import DBUS
from benchmarks.report import Report
from benchmarks.rounds import Placement

PARTS: Final = ("calls", "fanout")
BASES: Final = {"x bare": "bus-dbus-fast", "x bare, stock": "bus-dbus-fast-stock"}
"""Every figure is set beside bare dbus-fast through a bus, on either loop."""

_BOTH: Final = ("property", "signal")
_OURS: Final = ("everywire", "dbus-fast", "uvloop", "msgspec")


def _options(*, bus: bool, **more: Any) -> dict[str, Any]:
    return {"loop": "uvloop", "bus": bus, **more}


LISTENED: Final = {
    "bus-everywire": Peer(
        "fanout_dbus_everywire",
        _BOTH,
        "published object, and replicas that are made to have a connection each",
        _OURS,
        _options(bus=True, shared=False),
    ),
    "bus-everywire-shared": Peer(
        "fanout_dbus_everywire",
        _BOTH,
        "the same as it is without that: replicas of one thread share their connection to a bus",
        _OURS,
        _options(bus=True, shared=True),
    ),
    "bus-session": Peer("fanout_dbus_session", _BOTH, "Connection.emit and match", _OURS, _options(bus=True)),
    "bus-dbus-fast": Peer(
        "fanout_dbus_fast",
        _BOTH,
        "bare messages; a round trip to the bus after every 50, for more may cost it the connection (EAGAIN)",
        ("dbus-fast", "uvloop"),
        _options(bus=True, bare=True),
    ),
    "bus-dbus-fast-proxy": Peer(
        "fanout_dbus_fast",
        _BOTH,
        "ServiceInterface and proxies, with the same round trips",
        ("dbus-fast", "uvloop"),
        _options(bus=True, bare=False),
    ),
    "bus-sdbus": Peer("fanout_dbus_sdbus", _BOTH, "interface and proxies", ("sdbus",)),
    "bus-jeepney": Peer("fanout_dbus_jeepney", _BOTH, "messages", ("jeepney",)),
    "bus-qtdbus": Peer(
        "fanout_dbus_qt",
        _BOTH,
        "QDBusMessage and QDBusConnection.connect; it sends no PropertiesChanged by itself",
        ("PySide6-Essentials", "PySide6-Addons"),
        {"bus": True},
    ),
    "bus-floor": Peer("fanout_dbus_floor", _BOTH, "bytes prepared before: what the daemon leaves", ()),
    "p2p-everywire": Peer("fanout_dbus_everywire", _BOTH, "the same without a bus", _OURS, _options(bus=False)),
    "p2p-session": Peer("fanout_dbus_session", _BOTH, "Connection.emit on each connection", _OURS, _options(bus=False)),
    "p2p-dbus-fast": Peer(
        "fanout_dbus_fast",
        _BOTH,
        "bare messages to each connection, a Ping to each after every 50",
        ("dbus-fast", "uvloop"),
        _options(bus=False, bare=True),
    ),
    "p2p-qtdbus": Peer(
        "fanout_dbus_qt",
        _BOTH,
        "QDBusMessage on each connection of a QDBusServer",
        ("PySide6-Essentials", "PySide6-Addons"),
        {"bus": False},
    ),
}
"""The peers of the second part."""
SUITE: Final = Suite("dbus", LISTENED, "bus-dbus-fast")


def main(arguments: Sequence[str]) -> int:
    """Measure as the options say, print the tables, write the JSON; 1 if a part has no sample at all, else 0."""
    options = _command().parse(arguments)
    print(f"* dbus-daemon: {bus_version()}\n")
    failed = 0
    if "calls" in options.parts:
        failed |= _calls(options)
    if "fanout" in options.parts:
        failed |= _fanout(options)
    return failed


def _calls(options: Any) -> int:
    plan = rounds.Plan(
        peers=[name for name in options.peers if name in DBUS],
        placements=options.placement,
        rounds=options.rounds,
        seconds=options.seconds,
        seed=options.seed,
    )
    report = Report.of(plan, list(rounds.run(plan)), suite="dbus", bases=BASES)
    print(report.markdown())
    if options.json:
        _file(options.json, "calls").write_text(report.json(), encoding="utf-8")
    return 0 if any(outcome.sample for outcome in report.outcomes) else 1


def _fanout(options: Any) -> int:
    plan = fanout.Plan(
        peers=[name for name in options.peers if name in LISTENED],
        shapes=options.shapes,
        placements=[name for name in options.placement if name in PLACEMENTS],
        rounds=options.fanout_rounds,
        deliveries=options.deliveries,
        per_turn=options.per_turn,
        paced=options.paced,
        interval=options.interval,
        seed=options.seed,
    )
    return fanout.measured(plan, SUITE, options.json and _file(options.json, "fanout"))


def _file(given: Path, part: str) -> Path:
    """The parts have a file each: NAME.calls.json, NAME.fanout.json."""
    return given.with_suffix(f".{part}{given.suffix}")


def _command() -> Parser:
    names = tuple(dict.fromkeys((*DBUS, *LISTENED)))
    command = parser("dbus", __doc__, rounds=5, seconds=0.02, fanout_rounds=1, deliveries=400, paced=10)
    command.add_argument("--parts", type=choice(PARTS), default=PARTS, help=", ".join(PARTS))
    command.add_argument("--peers", type=choice(names), default=names, help=", ".join(names))
    command.add_argument("--placement", type=choice(get_args(Placement)), default=("same",))
    command.add_argument("--seconds", type=float, default=0.2, help="length of one sample of calls")
    command.add_argument("--fanout-rounds", type=int, default=3, help="default: %(default)s")
    command.add_argument("--shapes", type=choice(tuple(fanout.SHAPES)), default=("1", "10", "100"))
    command.add_argument("--deliveries", type=int, default=10_000, help="of a burst, all listeners together")
    command.add_argument("--per-turn", type=int, default=100, help="changes per turn of the publisher's loop")
    command.add_argument("--paced", type=int, default=50, help="changes of a paced row")
    command.add_argument("--interval", type=float, default=0.002, help="seconds between them")
    return command
