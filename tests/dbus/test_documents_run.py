"""What the pages on D-Bus show is executed, on private buses: programs, lines for a shell, and the other blocks."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, SignatureMismatch, connect
from everywire.dbus.session import Answer, Connection, Message, Variant
from tests.dbus import lab, tools
from tests.dbus.services import INTROSPECTABLE, MANAGER, Service, Thing, serving
from tests.test_docs import blocks, programs

DOCS = Path(__file__).parents[2] / "docs"
WIRE, COMING = DOCS / "wires" / "dbus.md", DOCS / "howto" / "dbus.md"
MPRIS = "org.mpris.MediaPlayer2"
PLAYER = f"{MPRIS}.Player"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

Heard = asyncio.Queue[tuple[Any, ...]]


@pytest.fixture
def session(own_bus: lab.Bus, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a bus that is the session's and the system's, for the blocks that run within the test."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
        monkeypatch.setenv(name, own_bus.address)
    return own_bus.address


# ---------------------------------------------------------------------------------------------- programs of the pages
@asynccontextmanager
async def started(session: str, folder: Path, name: str) -> AsyncIterator[None]:
    """Run a program of a page, which says when it is ready, until the end of the block."""
    async with tools.lines(sys.executable, "-W", "error", str(folder / name), address=session) as running:
        assert await running.line() == "ready"
        yield


async def said(session: str, folder: Path, name: str) -> str:
    """What a program of a page prints until it ends well."""
    done = await tools.run(sys.executable, "-W", "error", str(folder / name), address=session)
    assert (done.code, done.err) == (0, "")
    return done.out


async def test_the_plant_and_its_client_do_what_the_page_says(session: str, tmp_path: Path) -> None:
    assert programs(WIRE, tmp_path) == {"plant.py", "client.py"}
    async with started(session, tmp_path, "plant.py"):
        assert await said(session, tmp_path, "client.py") == "21.0 300 23.0\nTrue\n"


async def test_the_room_of_the_page_is_called(session: str, tmp_path: Path) -> None:
    assert programs(COMING, tmp_path) == {"room.py", "room_for_qt.py", "qt_client.py"}
    assert await said(session, tmp_path, "room.py") == "300\n"


async def test_the_client_that_stays_with_qt_finds_what_it_knows(session: str, tmp_path: Path) -> None:
    programs(COMING, tmp_path)
    async with started(session, tmp_path, "room_for_qt.py"):
        assert await said(session, tmp_path, "qt_client.py") == "22.5 [300]\nwarmed 2.5\n"


def shell_lines(document: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the commands of the block that begins with busctl, each with the comment behind it."""
    (block,) = re.findall(r"^```\n(busctl .*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        command, _, comment = line.partition("  # ")
        yield shlex.split(command), comment.strip()


async def test_the_lines_for_a_shell_work_beside_the_plant(session: str, tmp_path: Path) -> None:
    programs(WIRE, tmp_path)
    lines, heard = list(shell_lines(WIRE)), list[str]()
    assert [words[0] for words, _ in lines] == ["busctl"] * 5 + ["gdbus", "everywire"]
    async with started(session, tmp_path, "plant.py"):
        for (program, *words), comment in lines:
            ours = (sys.executable, "-m", "everywire")
            command = ours if program == "everywire" else (lab.needs(program, "systemd or libglib2.0-bin"),)
            done = await tools.run(*command, *words, address=session)
            assert (done.code, done.err) == (0, ""), words
            assert not comment or done.out == f"{comment}\n"
            heard.append(done.out)
    tree, introspected, *_, values = heard
    assert "/org/acme/Climate/hall" in tree
    assert re.search(r"^\.Boost +method +q +x ", introspected, re.MULTILINE)
    assert re.search(r"^target +22\.5 Cel +writable", values, re.MULTILINE)


# ------------------------------------------------------------------------------------------ other blocks of the pages
def block_with(document: Path, words: str) -> str:
    (found,) = (block for block in blocks(document) if words in block)
    return found


def definitions(block: str, **others: str) -> tuple[dict[str, Any], Heard]:
    """Execute a block without running its `main`; return what it defines, and where what it prints goes."""
    heard = Heard()
    names: dict[str, Any] = {"__name__": "page", "print": lambda *words: heard.put_nowait(words)}
    for shown, real in others.items():
        block = block.replace(shown, real)
    exec(compile(block.removesuffix("asyncio.run(main())\n"), "page", "exec", dont_inherit=True), names)
    return names, heard


@asynccontextmanager
async def going_on(work: Awaitable[None]) -> AsyncIterator[None]:
    """Let the work of a block go on until the end of ours."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def show_player(service: Service) -> Thing:
    """A media player that has stopped and can be started."""
    player = service.add(
        f"/{MPRIS.replace('.', '/')}",
        f"""<interface name="{PLAYER}"><method name="PlayPause"/>
        <property name="PlaybackStatus" type="s" access="read"/><property name="Metadata" type="a{{sv}}" access="read"/>
        <property name="Volume" type="d" access="readwrite"/>
        <signal name="Seeked"><arg name="Position" type="x"/></signal></interface>""",
    )
    for name, value in {
        "PlaybackStatus": Variant("s", "Stopped"),
        "Metadata": Variant("a{sv}", {"xesam:title": Variant("s", "Bolero")}),
        "Volume": Variant("d", 1.0),
    }.items():
        player.set(name, value, PLAYER, how="silently")
    player.methods["PlayPause"] = lambda: player.set("PlaybackStatus", Variant("s", "Playing"), PLAYER)
    return player


async def test_the_player_of_the_page_hears_that_it_plays(session: str) -> None:
    names, heard = definitions(block_with(WIRE, "class Player"))
    async with serving(session, f"{MPRIS}.vlc", early=show_player) as service:
        await names["main"]()
        assert service.asked.count("PlayPause") == 1
    assert heard.get_nowait() == ("Playing",)


def bluetooth(call: Message) -> Answer:
    """An adapter below an ObjectManager."""
    adapter = "/org/bluez/hci0"
    match call.interface, call.member, call.path:
        case (str(interface), "GetManagedObjects", "/") if interface == MANAGER:
            return Answer("a{oa{sa{sv}}}", {adapter: {"org.bluez.Adapter1": {"Name": Variant("s", "hall")}}})
        case (str(interface), "Introspect", str(path)) if interface == INTROSPECTABLE and path == adapter:
            prop = '<property name="Name" type="s" access="read"/>'
            return Answer("s", f'<node><interface name="org.bluez.Adapter1">{prop}</interface></node>')
    raise Fault(Code.NOT_FOUND, f"no {call.member}")


async def test_the_collection_of_the_page_has_devices_and_players_are_followed(session: str) -> None:
    names, heard = definitions(block_with(WIRE, "dbus.collection"))
    async with await Connection.open(session) as other:
        other.handle("/", bluetooth, subtree=True)
        await other.request_name("org.bluez")
        async with going_on(names["main"]()):
            path, device = await heard.get()
            assert (path, device.name) == ("/org/bluez/hci0", "hall")
            await other.request_name(f"{MPRIS}.vlc")
            assert await heard.get() == (f"{MPRIS}.vlc", "", other.unique_name)
            await other.release_name(f"{MPRIS}.vlc")
            assert await heard.get() == (f"{MPRIS}.vlc", other.unique_name, "")


async def test_the_blocks_without_objects_do_what_they_say(session: str, folder: Path) -> None:
    names, heard = definitions(block_with(WIRE, "request_name"), **{"/run/echo": f"{folder}/echo"})
    async with await Connection.open(session) as other:
        async with going_on(names["main"]()):
            assert await heard.get() == ("PRIMARY_OWNER",)
            assert await heard.get() == (("HELLO",),)
            await other.request_name("org.acme.Other")
            while await heard.get() != (("org.acme.Other", "", other.unique_name),):
                pass
        async with going_on(names["watch_everything"]()):
            while (message := await seen_by_monitor(heard, other)).interface != "org.freedesktop.UPower":
                pass
            assert message.member == "Hint"
    await names["peer_to_peer"]()
    assert heard.get_nowait() == (os.getuid(),)


async def seen_by_monitor(heard: Heard, other: Connection) -> Message:
    """Let something pass until the monitor has begun, and return what it saw."""
    while heard.empty():
        other.emit("/org/acme", "org.freedesktop.UPower", "Hint")
        with suppress(Fault):
            await other.call("org.acme.Other", "/", "org.freedesktop.DBus.Peer", "Ping")
    (message,) = heard.get_nowait()
    found: Message = message
    return found


# ----------------------------------------------------------------------------------------------- coming from elsewhere
BOTH = "import asyncio\nasync def both():\n    await serve()\n    await use()\nasyncio.run(both())\n"


@pytest.mark.parametrize(
    "words,ending,answer",
    [("dbus_fast", BOTH, "300\n"), ("registerObject", "print(reply.arguments())\n", "[300]\n")],
    ids=["dbus-fast", "PySide6"],
)
async def test_the_same_service_elsewhere_is_as_the_page_says(
    session: str, tmp_path: Path, words: str, ending: str, answer: str
) -> None:
    program = tmp_path / "room_elsewhere.py"
    program.write_text(block_with(COMING, words) + ending, encoding="utf-8")
    done = await tools.run(sys.executable, str(program), address=session)
    assert (done.code, done.out) == (0, answer), done.err


async def test_the_service_that_stays_with_qt_is_used_by_the_class_and_url_of_the_page(
    session: str, tmp_path: Path
) -> None:
    program = tmp_path / "qt_room.py"
    program.write_text(block_with(COMING, "registerObject") + 'print("ready", flush=True)\napp.exec()\n')
    url = "dbus:session?service=org.acme.Climate&path=/"
    async with started(session, tmp_path, "qt_room.py"), connect(url, "hall") as room:
        assert await room.boost(5) == 300
        names, _ = definitions(block_with(COMING, "class Room(Object):\n    target"))
        with pytest.raises(SignatureMismatch, match=r"property target is missing in org\.acme\.Room1"):
            async with connect(url, "hall", names["Room"]):
                pass
