"""R16: the kernel says who is at the other end of a Unix socket, and another user of this machine gets nothing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from everywire import AddressInUse, Limits, Node, connect
from everywire.remoteobjects.codec import (
    AddObject,
    CallKind,
    Handshake,
    Invoke,
    InvokeReply,
    ObjectList,
    Ping,
    Pong,
    decode_packet,
    encode_packet,
)
from tests.dbus.hosts import somebody_else
from tests.remoteobjects.promises.conftest import Figures
from tests.remoteobjects.promises.things import Plant


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which every user may make files and nobody may replace those of others, as /tmp."""
    with tempfile.TemporaryDirectory(prefix="ew-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[tuple[Node, str]]:
    """Serve a plant."""
    async with Node(limits=Limits(drain=0.0)) as node:
        node.publish(Plant(), "plant")
        (address,) = await node.serve(url)
        yield node, address


def denials(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the audit trail says."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "everywire.audit"]


async def told_to(sock: socket.socket, *packets: Any) -> list[Any]:
    """Say *packets* and a last Ping; return what comes before its Pong."""
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(b"".join(map(encode_packet, (*packets, Ping("the end")))))
    heard: list[Any] = []
    while Pong("the end") not in heard:
        size = int.from_bytes(await reader.readexactly(4), "little")
        heard.append(decode_packet(await reader.readexactly(size), from_host=True))
    writer.close()
    return heard[:-1]


async def test_a_name_cannot_be_opened_by_another_user(open_folder: Path, figure: Figures) -> None:
    path = open_folder / "plant"
    async with serving(f"local:{path}") as (_, address):
        mode = stat.S_IMODE(path.stat().st_mode)
        refused = 0
        for _ in range(20):
            with somebody_else(), socket.socket(socket.AF_UNIX) as sock, pytest.raises(PermissionError):
                sock.connect(str(path))
            refused += 1
        async with connect(address, "plant", Plant) as plant:
            assert await plant.add(1, 2) == 3
    figure("mode of the socket, octal", int(f"{mode:o}"), at_most=600)
    figure("connections of another user that the kernel refused, of 20", refused)


@pytest.mark.parametrize("way", ["abstract", "opened"])
async def test_another_user_who_reaches_a_host_gets_nothing_and_leaves_a_line(
    open_folder: Path, caplog: pytest.LogCaptureFixture, figure: Figures, way: str
) -> None:
    """An abstract name has no mode, and an administrator may open a socket: then the kernel's word decides."""
    path = open_folder / "plant"
    url = f"localabstract:{path}" if way == "abstract" else f"local:{path}"
    async with serving(url) as (node, _):
        if way == "opened":
            path.chmod(0o666)
        with somebody_else() as who:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"\0{path}" if way == "abstract" else str(path))
        heard = await told_to(
            sock,
            AddObject("plant", dynamic=True),
            Invoke("plant", CallKind.METHOD, 0, (1, 2), 5),
            Invoke("plant", CallKind.WRITE_PROPERTY, 0, (9,), -1),
        )
        assert heard == [Handshake("QtRO 2.0"), ObjectList(()), InvokeReply("plant", 5, None)], "no name, no value"
        source: Any = node.published["plant"].object
        assert source.level == 1
    lines = denials(caplog)
    assert lines, "no line in the audit trail"
    assert {line["caller"] for line in lines} == {f"uid:{who}"}
    figure("requests of another user", 3)
    figure("lines in the audit trail", len(lines))


async def test_a_name_that_another_user_has_taken_is_left_alone(open_folder: Path) -> None:
    path = open_folder / "plant"
    with somebody_else(), socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(str(path))
        squatter.listen()
        os.setresuid(0, 0, 0)
        with pytest.raises(AddressInUse):
            async with serving(f"local:{path}"):
                pass
        assert path.stat().st_uid != 0


async def test_a_link_that_another_user_has_put_there_is_not_followed(open_folder: Path, tmp_path: Path) -> None:
    path, aim = open_folder / "plant", tmp_path / "precious"
    aim.write_text("precious", encoding="ascii")
    for target in (aim, tmp_path / "nothing"):
        with somebody_else():
            path.symlink_to(target)
        with pytest.raises(AddressInUse):
            async with serving(f"local:{path}"):
                pass
        assert path.is_symlink()
        assert aim.read_text(encoding="ascii") == "precious"
        assert not (tmp_path / "nothing").exists()
        path.unlink()
