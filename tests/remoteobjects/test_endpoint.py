"""The settings of the wire: what may be listened on, what is in use, and what the addresses say."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import AddressError, AddressInUse, InsecureBind, LinkError, Node, RemoteObjects, connect
from everywire.runtime.wires import wire_of
from tests.conformance.plant import Desk
from tests.remoteobjects.peers import QUICK, hosting


@pytest.mark.parametrize("url", ["local:x", "localabstract:x", "tcp://127.0.0.1:1", "tls://h:1", "stdio:"])
def test_qts_own_transports_mean_this_wire(url: str) -> None:
    assert wire_of(url) == RemoteObjects(url=url)
    assert wire_of(f"qtro+{url}") == RemoteObjects(url=url)


async def test_settings_are_accepted_wherever_an_address_is(folder: Path) -> None:
    wire = RemoteObjects(url=f"local:{folder}/host")
    async with Node(limits=QUICK) as node:
        node.publish(Desk(), "desk")
        assert await node.serve(wire) == (wire.url,)
        async with connect(wire, "desk", Desk) as desk:
            assert await desk.add(1) == 1101


async def test_an_address_that_other_machines_reach_is_refused_unless_one_insists() -> None:
    async with Node(limits=QUICK) as node:
        with pytest.raises(InsecureBind, match="insecure"):
            await node.serve("tcp://0.0.0.0:0")
        (url,) = await node.serve(RemoteObjects(url="tcp://0.0.0.0:0", insecure=True))
        assert node.addresses == (url,)


async def test_an_address_in_use_is_refused_and_its_owner_goes_on(folder: Path) -> None:
    async with hosting(folder, desk=Desk()) as (_, url), Node(limits=QUICK) as second:
        with pytest.raises(AddressInUse):
            await second.serve(f"memory:{folder}", url)
        assert second.addresses == (), "nothing of the call is served"
        async with connect(url, "desk", Desk) as desk:
            assert await desk.add(1) == 1101


async def test_a_port_in_use_is_refused() -> None:
    async with Node(limits=QUICK) as first, Node(limits=QUICK) as second:
        (url,) = await first.serve("tcp://127.0.0.1:0")
        with pytest.raises(AddressInUse, match=url.rpartition(":")[2]):
            await second.serve(url)


@pytest.mark.parametrize("url", ["tcp:", "tcp://127.0.0.1", "nonsense:x", "x", "", "local:", "qtro+nonsense:x"])
async def test_what_is_no_address_says_what_one_looks_like(url: str) -> None:
    async with Node(limits=QUICK) as node:
        with pytest.raises(AddressError):
            await node.serve(url)
        with pytest.raises(AddressError):
            async with connect(url, "desk"):
                pass


async def test_a_host_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(LinkError, match="nobody"):
        async with connect(f"local:{folder}/nobody", "desk", timeout=0):
            pass


async def test_a_host_that_cannot_listen_leaves_nothing_at_its_objects(folder: Path) -> None:
    desk = Desk()
    async with hosting(folder, desk=Desk()) as (_, url), Node(limits=QUICK) as second:
        second.publish(desk, "desk")
        before = dict(desk._everywire.listeners)
        with pytest.raises(AddressInUse):
            await second.serve(url)
        assert {name: len(heard) for name, heard in desk._everywire.listeners.items() if heard} == {
            name: len(heard) for name, heard in before.items() if heard
        }
