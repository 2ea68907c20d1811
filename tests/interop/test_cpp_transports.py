"""Sockets that Qt programs in C++ have opened themselves: TLS, with certificates of both, in both roles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from everywire import Node, connect
from tests.interop import plant, sources
from tests.interop.cpp_programs import cpp_host, cpp_node
from tests.interop.matrix import CPP, QT5, Feature, Role, shows
from tests.programs import Program

pytestmark = [pytest.mark.interop, pytest.mark.cpp]

Address = Callable[[str], str]
EXTERNAL: Final = "plant:here"
"""What a host of Qt is called by a URL whose scheme is the application's own."""


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The authority's certificate, and those of a host and of a node with their keys."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "host.pem")
    authority.issue_cert(common_name="panel").private_key_and_cert_chain_pem.write_to_path(tmp_path / "node.pem")
    return tmp_path / "ca.pem", tmp_path / "host.pem", tmp_path / "node.pem"


async def turned(qt: Program, cls: str = "Valve") -> Any:
    """What the valve says to a C++ program that is connected."""
    await qt.ask("acquire_static", name="valve", cls=cls)
    await qt.hear("state", object="valve", state="Valid")
    return (await qt.ask("ask", name="valve", slot="turn", arguments=[["int", 3]], wait=True))["value"]


@shows(Feature.EXTERNAL, Role.HOST, *CPP)
async def test_we_use_a_host_of_qt_over_tls(peer: str, certificates: tuple[Path, Path, Path]) -> None:
    ca, host, _ = certificates
    async with cpp_host(peer) as qt:
        _, port = await qt.ask("serve", url=EXTERNAL, names=["valve"], external=str(host))
        async with connect(f"tls://127.0.0.1:{port}?ca={ca}", "valve", plant.Valve) as valve:
            assert await valve.turn(3) == "turned by 3"
            assert valve.opening == 4


@shows(Feature.EXTERNAL, Role.HOST, *CPP)
async def test_we_use_a_host_of_qt_over_a_socket_that_it_was_given(peer: str) -> None:
    async with cpp_host(peer) as qt:
        _, port = await qt.ask("serve", url=EXTERNAL, names=["valve"], external="tcp")
        async with connect(f"tcp://127.0.0.1:{port}", "valve", plant.Valve) as valve:
            assert await valve.turn(3) == "turned by 3"


@shows(Feature.EXTERNAL, Role.REPLICA, *CPP)
async def test_qt_uses_our_host_over_tls(peer: str, certificates: tuple[Path, Path, Path]) -> None:
    ca, host, node_certificate = certificates
    async with cpp_node(peer) as qt, Node() as node:
        node.publish(sources.Valve(), "valve")
        protocol = "&protocol=1.3" if peer == QT5 else ""
        (url,) = await node.serve(f"tls://127.0.0.1:0?cert={host}&ca={ca}{protocol}")
        port = int(url.partition("?")[0].rpartition(":")[2])
        await qt.ask("connect_tls", port=port, authority=str(ca), certificate=str(node_certificate))
        assert await turned(qt) == ["QString", "turned by 3"]


@shows(Feature.EXTERNAL, Role.REPLICA, *CPP)
async def test_qt_uses_our_host_over_a_socket_that_it_was_given(peer: str, address: Address) -> None:
    async with cpp_node(peer) as qt, Node() as node:
        node.publish(sources.Valve(), "valve")
        (url,) = await node.serve(f"{address('tcp')}{'?protocol=1.3' if peer == QT5 else ''}")
        await qt.ask("connect_external", port=int(url.partition("?")[0].rpartition(":")[2]))
        assert await turned(qt) == ["QString", "turned by 3"]
