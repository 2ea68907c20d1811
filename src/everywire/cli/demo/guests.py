"""The demo's users as their parent sees them: whatever they are, they read, act and hear, and report what they saw."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from everywire.cli.demo.crew import Crew, Worker


class User(Protocol):
    """Somebody who uses the plant."""

    async def read(self) -> dict[str, Any]:
        """Report everything that can be read."""
        ...

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """Push a target and call the slot `boost`; report what came back."""
        ...

    async def hear(self) -> dict[str, Any]:
        """Wait for the alarm and the stopped pump; report the signal and the changed property."""
        ...


class Told:
    """A user in a process that takes orders."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def read(self) -> dict[str, Any]:
        """See `User`."""
        return await self._worker.ask("read")

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """See `User`."""
        return await self._worker.ask("act", target=target, minutes=minutes)

    async def hear(self) -> dict[str, Any]:
        """See `User`."""
        return await self._worker.ask("hear")


class CommandLine:
    """The command `everywire` as a user: a process for each thing it does, and one that watches."""

    def __init__(self, crew: Crew, url: str, watching: Worker) -> None:
        self._crew, self._url, self._watching = crew, url, watching

    @classmethod
    async def start(cls, crew: Crew, url: str) -> CommandLine:
        """Begin to watch; the present value comes first."""
        watching = await crew.start(
            "everywire watch", "-m", "everywire", "watch", "--json", url, "thermostat", "current", "overheated",
            obeys=False,
        )  # fmt: skip
        await watching.line()
        return cls(crew, url, watching)

    async def read(self) -> dict[str, Any]:
        """See `User`."""
        room, pump = await asyncio.gather(self._run("get", "thermostat"), self._run("get", "pump", "mode", "flow"))
        return {**room, **pump}

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """See `User`."""
        pushed = await self._run("set", "thermostat", "target", str(target))
        return {"pushed": pushed, "result": await self._run("call", "thermostat", "boost", f"minutes={minutes}")}

    async def hear(self) -> dict[str, Any]:
        """See `User`."""
        current: Any = None
        while True:
            news: dict[str, Any] = msgspec.json.decode(await self._watching.line())
            if news["member"] == "overheated":
                return {"signal": list(news["arguments"].values()), "change": current}
            current = news["value"]

    async def _run(self, verb: str, *words: str) -> Any:
        return await self._crew.run(f"everywire {verb}", "-m", "everywire", verb, "--json", self._url, *words)


class Curl:
    """The program `curl` as a user, over TCP or a Unix socket; it hears by an event stream."""

    def __init__(self, crew: Crew, program: str, url: str, events: Worker) -> None:
        self._crew, self._program, self._events = crew, program, events
        self._where, self._options = _as_curl(url)

    @classmethod
    async def start(cls, crew: Crew, program: str, url: str) -> Curl:
        """Begin to hear; the present values come first."""
        where, options = _as_curl(url)
        events = await crew.start(
            "curl, hearing,", *options, "-N", f"{where}/thermostat/events", program=program, obeys=False
        )
        user = cls(crew, program, url, events)
        while "values" not in await user._event():
            pass
        return user

    async def read(self) -> dict[str, Any]:
        """See `User`."""
        pump = await self._run("pump/properties")
        return {**await self._run("thermostat/properties"), "mode": pump["mode"], "flow": pump["flow"]}

    async def act(self, target: float, minutes: int) -> dict[str, Any]:
        """See `User`."""
        pushed = await self._run("thermostat/properties/target", "-X", "PUT", *JSON, str(target))
        result = await self._run("thermostat/slots/boost", *JSON, f'{{"minutes": {minutes}}}')
        return {"pushed": pushed, "result": result}

    async def hear(self) -> dict[str, Any]:
        """See `User`."""
        current: Any = None
        while True:
            event = await self._event()
            if event.get("emitted") == "overheated":
                return {"signal": event["arguments"], "change": current}
            current = event["value"] if event.get("changed") == "current" else current

    async def _run(self, path: str, *options: str) -> Any:
        words = (*self._options, "--write-out", "\\n", *options, f"{self._where}/{path}")
        return await self._crew.run("curl", *words, program=self._program)

    async def _event(self) -> dict[str, Any]:
        """Return the next event that has data; the lines between are names of events and comments."""
        while not (line := await self._events.line()).startswith(b"data:"):
            pass
        event: dict[str, Any] = msgspec.json.decode(line.removeprefix(b"data:"))
        return event


JSON: Final = ("-H", "content-type: application/json", "--data")


def _as_curl(url: str) -> tuple[str, tuple[str, ...]]:
    """Return where the objects are, and the options: no settings of the user, no proxy, a failure is one."""
    options = ("--disable", "--silent", "--show-error", "--fail", "--noproxy", "*")
    wire, _, path = url.partition(":")
    if wire == "http+local":
        return "http://localhost/objects", (*options, "--unix-socket", path)
    return f"{url}/objects", options


@dataclass(slots=True)
class Visit:
    """What one user did and saw, beside what the plant held at that moment."""

    who: str
    url: str
    user: User
    blind_to: frozenset[str] = frozenset()
    """Values that such a program cannot read."""
    wire: str = ""
    """What the wire is called where its URL does not tell."""
    saw: dict[str, Any] = field(default_factory=dict[str, Any])
    truth: dict[str, Any] = field(default_factory=dict[str, Any])

    def compare(self, what: str, saw: Any, truth: Any) -> None:
        """Note what was seen, and what it should have been."""
        self.saw[what], self.truth[what] = saw, truth

    @property
    def differences(self) -> list[str]:
        """One line for each thing that was seen differently."""
        return [
            f"{self.who} at {self.url}: {what} was {value!r}, the plant held {self.truth[what]!r}"
            for what, value in self.saw.items()
            if value != self.truth[what]
        ]

    @property
    def row(self) -> list[str]:
        """Its line in the table."""
        called = self.saw.get("the result of boost", self.saw.get("the pump's mode"))
        cells = [
            self.saw.get("all values", {}).get("target"),
            self.saw.get("the pushed target"),
            f"{called} s" if isinstance(called, int) else called,
            self.saw.get("the change of current"),
            " ".join(map(str, self.saw["the signal overheated"])),
        ]
        wires = " → ".join(url.partition(":")[0] for url in self.url.split(" → "))
        agrees = "no" if self.differences else "yes"
        return [self.wire or wires, self.who, *("" if cell is None else str(cell) for cell in cells), agrees]
