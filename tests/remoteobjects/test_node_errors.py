"""Each error code of QRemoteObjectNode has a named error here, and each can happen: docs/howto/transports.md."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from everywire import (
    AddressError,
    AddressInUse,
    Fault,
    InsecureBind,
    LinkError,
    ModelError,
    Node,
    Object,
    connect,
    link_of,
)
from everywire.remoteobjects.codec import Handshake, ObjectInfo, ObjectList
from everywire.transport import dialing
from tests.remoteobjects.peers import QUICK, RawPeer, raw_host, until_closed

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "howto" / "transports.md"


class Hall(Object):
    pass


async def registry_not_acquired(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        (url,) = await node.serve(f"local:{folder}/host")
        async with connect(f"registry+{url}", "hall", timeout=0):
            pass


async def registry_already_hosted(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        await node.serve(f"registry+local:{folder}/registry", f"registry+local:{folder}/registry")


async def server_already_created(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        await node.serve(f"local:{folder}/host", f"local:{folder}/host")


async def unintended_registry_hosting(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "Registry")


async def source_not_registered(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.withdraw("hall")


async def missing_object_name(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "")


async def host_url_invalid(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        await node.serve("tcp:127.0.0.1")


async def protocol_mismatch(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(Handshake("QtRO 9.9"))
        await until_closed(peer)

    async with raw_host("tcp://127.0.0.1:0", script) as url, connect(url, "hall", timeout=0):
        pass


async def listen_failed(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        await node.serve("tcp://0.0.0.0:0")


async def socket_access_error(folder: Path) -> None:
    async def refuse(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:  # as root every socket may be connected to
        patch.setattr(dialing, "connect_unix", refuse)
        async with connect(f"local:{folder}/host", "hall", timeout=0):
            pass


async def operation_not_valid_on_client_node(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall, "hall")  # type: ignore[arg-type]


ERRORS: Final[dict[str, tuple[Callable[[Path], Awaitable[None]], type[Exception], str]]] = {
    "RegistryNotAcquired": (registry_not_acquired, Fault, "is no registry; it offers nothing"),
    "RegistryAlreadyHosted": (registry_already_hosted, AddressInUse, "somebody listens at .* already"),
    "ServerAlreadyCreated": (server_already_created, AddressInUse, "somebody listens at .* already"),
    "UnintendedRegistryHosting": (unintended_registry_hosting, ModelError, "the name 'Registry' is reserved"),
    "OperationNotValidOnClientNode": (operation_not_valid_on_client_node, ModelError, "only instances of Object"),
    "SourceNotRegistered": (source_not_registered, ModelError, "nothing is published as 'hall'"),
    "MissingObjectName": (missing_object_name, ModelError, "an object's name has 1 to 255"),
    "HostUrlInvalid": (host_url_invalid, AddressError, "needs a host and a port"),
    "ProtocolMismatch": (protocol_mismatch, LinkError, "the host speaks 'QtRO 9.9'"),
    "ListenFailed": (listen_failed, InsecureBind, "bind 127.0.0.1"),
    "SocketAccessError": (socket_access_error, LinkError, "this user may not connect to it"),
}
"""Qt's code: what brings it about, our error, and what it says."""


@pytest.mark.parametrize("code", ERRORS)
async def test_an_error_of_a_node_of_qt_has_a_name_here(code: str, folder: Path) -> None:
    bring_about, kind, told = ERRORS[code]
    with pytest.raises(kind, match=told):
        await bring_about(folder)


async def test_a_reply_that_cannot_be_read_is_not_silence() -> None:
    """Qt's pending call has the error InvalidMessage; ours fails with a Fault, or the link ends with the reason."""

    async def script(peer: RawPeer) -> None:
        await peer.send(Handshake("QtRO 2.0"), ObjectList((ObjectInfo("hall", "Hall"),)), b"\xff\xff\xff\x7f")
        await until_closed(peer)

    async with raw_host("tcp://127.0.0.1:0", script) as url:
        with pytest.raises((LinkError, Fault), match="a frame of 2147483647 bytes"):
            async with connect(url, "hall", timeout=0):
                pass


def test_the_document_names_the_same_errors() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("## Errors")[2]
    named = dict(re.findall(r"^\| `(\w+)` \| `(\w+)", table, re.MULTILINE))
    assert {code: kind.__name__ for code, (_, kind, _) in ERRORS.items()} == {code: named.get(code) for code in ERRORS}


async def test_waiting_for_a_source_has_a_deadline_as_in_qt(folder: Path) -> None:
    async with connect(f"local:{folder}/nobody", "hall", Hall, wait=False) as hall:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(LinkError):
            await link_of(hall).wait_valid(timeout=0.05)
        assert asyncio.get_running_loop().time() - begun < 5
