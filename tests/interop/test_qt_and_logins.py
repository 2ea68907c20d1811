"""A real Qt program (PySide6) at a host that demands logins: it has none of ours, so the link must tell who it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from everywire import Limits, Node, Object, Property, Role, Tokens, connect, current_call, prop, slot
from everywire.remoteobjects import RemoteObjects
from everywire.remoteobjects.codec import Handshake
from tests.interop.programs import qt_program
from tests.interop.recorder import recorded

pytestmark = pytest.mark.interop

Address = Callable[[str], str]
IMPATIENT: Final = Limits(handshake=0.5, drain=0)


class Boiler(Object):
    target: Property[float] = prop(21.0, writable=True)

    @slot
    async def who(self) -> str:
        caller = current_call().caller
        return f"{caller.identity} {None if caller.role is None else caller.role.name}"


@asynccontextmanager
async def guarding(url: str, folder: Path) -> AsyncIterator[tuple[Boiler, Tokens, str]]:
    tokens, boiler = Tokens(folder / "tokens.json"), Boiler()
    async with Node(tokens=tokens, limits=IMPATIENT) as node:
        node.publish(boiler, "boiler")
        (where,) = await node.serve(url)
        yield boiler, tokens, where


def reasons(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [json.loads(r.getMessage())["reason"] for r in caplog.records if r.name == "everywire.audit"]


async def test_over_tcp_it_gets_nothing_and_is_cut_and_nobody_else_notices(
    address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarding(address("tcp"), tmp_path) as (_, tokens, url), recorded(url) as recorder:
        wire = RemoteObjects(url=url, token=tokens.add("panel", Role.OPERATOR))
        async with connect(wire, "boiler", Boiler) as ours, qt_program("node") as qt:
            assert await qt.ask("connect", url=recorder.url)
            await qt.ask("acquire", name="boiler")
            while not reasons(caplog):
                await asyncio.sleep(0)
                assert await ours.who() == "token:panel OPERATOR"
            assert reasons(caplog)[0] == "no login within 0.5 s"
            assert await qt.ask("state", name="boiler") in ("Uninitialized", "Default")
            assert {type(packet) for packet in recorder.packets(from_host=True)} == {Handshake}
            assert await ours.who() == "token:panel OPERATOR"


async def test_over_a_unix_socket_the_system_vouches_for_it(address: Address, tmp_path: Path) -> None:
    async with guarding(address("local"), tmp_path) as (_, _, url), qt_program("node") as qt:
        assert await qt.ask("connect", url=url)
        await qt.ask("acquire", name="boiler")
        await qt.hear("state", state="Valid")
        await qt.ask("ask", name="boiler", slot="who()", arguments=[])
        kind, said = (await qt.hear("finished"))["value"]
        assert (kind, said.partition(":")[0]) == ("str", "uid")


async def test_over_tls_a_listed_certificate_lets_it_in_until_it_is_removed(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "host.pem")
    shown = authority.issue_cert(
        "qt@example.org", common_name="qt", organization_name="Acme", organization_unit_name="Plant"
    )
    shown.private_key_and_cert_chain_pem.write_to_path(tmp_path / "qt.pem")
    listen = f"tls://127.0.0.1:0?cert={tmp_path / 'host.pem'}&ca={tmp_path / 'ca.pem'}"
    async with guarding(listen, tmp_path) as (boiler, tokens, url), qt_program("node") as qt:
        tokens.add_certificate("qt", Role.OPERATOR, "CN=qt,OU=Plant,O=Acme")
        port = int(url.rpartition(":")[2])
        await qt.ask("connect_tls", port=port, authority=f"{tmp_path}/ca.pem", certificate=f"{tmp_path}/qt.pem")
        await qt.ask("acquire", name="boiler")
        await qt.hear("state", state="Valid")
        await qt.ask("ask", name="boiler", slot="who()", arguments=[])
        assert (await qt.hear("finished"))["value"] == ["str", "CN=qt,OU=Plant,O=Acme OPERATOR"]
        await qt.ask("set", name="boiler", prop="target", value=["float", 30.0])
        while boiler.target != 30.0:
            await asyncio.sleep(0)
        tokens.remove("qt")
        await qt.hear("disconnected")
