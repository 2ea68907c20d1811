"""What a host shows, kept up to date: with an everywire host, with bare packets, over other wires, at a registry."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from everywire import (
    Code,
    Fault,
    Host,
    LinkError,
    Node,
    Object,
    Policy,
    Property,
    RemoteObjects,
    Role,
    Tokens,
    browse,
    connect,
    link_of,
    prop,
)
from everywire.runtime import browsing
from tests.remoteobjects.peers import QUICK, RawPeer, greet, raw_host, raw_node, until_closed


class Hall(Object):
    level: Property[int] = prop(1)


async def until_shown(host: Host, *names: str) -> None:
    """Wait until the host shows exactly *names*."""
    await Host.objects.wait_for(host, lambda shown: sorted(shown) == sorted(names))


async def test_what_is_published_and_withdrawn_is_told_though_nobody_uses_it(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with browse(url) as host:
            assert (host.online, host.objects) == (True, ("hall",))
            heard: list[tuple[str, str]] = []
            host.added.connect(lambda name: heard.append(("+", name)))
            host.removed.connect(lambda name: heard.append(("-", name)))
            node.publish(Hall(), "porch")
            await until_shown(host, "hall", "porch")
            node.withdraw("hall")
            await until_shown(host, "porch")
            node.withdraw("porch")
            node.publish(Hall(), "porch")
            node.publish(Hall(), "end")
            await until_shown(host, "porch", "end")
            assert [entry for entry in heard if entry[1] != "porch" or entry[0] == "+"][:2] == [
                ("+", "porch"),
                ("-", "hall"),
            ]
            assert heard[-1] == ("+", "end")


async def test_a_host_that_was_away_tells_what_changed_meanwhile(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with browse(url) as host:
            await node.aclose()
            await Host.online.wait_for(host, lambda online: not online)
            assert host.objects == ("hall",)
            removed: list[str] = []
            host.removed.connect(removed.append)
            async with Node(limits=QUICK) as other:
                other.publish(Hall(), "porch")
                await other.serve(url)
                await until_shown(host, "porch")
                assert (host.online, removed) == (True, ["hall"])


async def test_a_node_that_speaks_only_qts_protocol_is_not_told_of_what_it_does_not_use(folder: Path) -> None:
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(f"local:{folder}/host")
        async with raw_node(url) as peer:
            node.withdraw("hall")
            await peer.fence()
            assert [type(packet).__name__ for packet in peer.seen] == ["Handshake", "ObjectList", "Pong"]


async def test_what_may_not_be_seen_is_neither_shown_nor_told_when_it_goes(folder: Path) -> None:
    hidden = Policy(role=lambda _: Role.STRANGER)
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        node.publish(Hall(), "vault", policy=hidden)
        (url,) = await node.serve(f"local:{folder}/host")
        async with raw_node(url, extended=True) as peer:
            node.withdraw("vault")
            await peer.fence()
            assert "vault" not in str(peer.seen)
        node.publish(Hall(), "vault", policy=hidden)
        async with browse(url) as host:
            assert host.objects == ("hall",)
            hidden.role = lambda _: Role.ADMIN
            hidden.forget()
            await until_shown(host, "hall", "vault")
            hidden.role = lambda _: Role.STRANGER
            hidden.forget()
            await until_shown(host, "hall")


async def test_before_a_login_nothing_is_told(tmp_path: Path) -> None:
    async with Node(limits=QUICK, tokens=Tokens(tmp_path / "tokens")) as node:
        node.publish(Hall(), "hall")
        (url,) = await node.serve("tcp://127.0.0.1:0")
        async with raw_node(url, greeted=False, extended=False) as peer:
            node.withdraw("hall")
            node.publish(Hall(), "porch")
            await peer.packet()
        assert len(peer.seen) == 1
        with pytest.raises(Fault, match="needs a token") as refused:
            async with browse(url, timeout=1.0):
                pass
        assert refused.value.code is Code.UNAUTHENTICATED


async def test_a_host_of_which_only_packets_are_known() -> None:
    shown = asyncio.Event()

    async def script(peer: RawPeer) -> None:
        await greet(peer, "one", "two")
        await shown.wait()
        from everywire.remoteobjects.codec import ObjectInfo, ObjectList, RemoveObject

        await peer.send(ObjectList((ObjectInfo("three", "Thing"),)), RemoveObject("one"), RemoveObject("never"))
        await until_closed(peer)

    async with raw_host("tcp://127.0.0.1:0", script) as url, browse(url) as host:
        assert host.objects == ("one", "two")
        shown.set()
        await until_shown(host, "two", "three")


@pytest.mark.parametrize("url", ["memory:plant", "http://127.0.0.1:0"])
async def test_wires_that_do_not_tell_are_looked_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "LOOK", 0.0)
    async with Node(limits=QUICK) as node:
        node.publish(Hall(), "hall")
        (served,) = await node.serve(url)
        async with browse(served) as host:
            assert host.objects == ("hall",)


async def test_nobody_there_is_a_link_error_or_a_host_that_is_waited_for(folder: Path) -> None:
    url = f"local:{folder}/host"
    with pytest.raises(LinkError, match="no such name"):
        async with browse(url, timeout=0):
            pass
    with pytest.raises(LinkError, match="no such name"):
        async with browse(url, timeout=0.05):
            pass
    async with browse(url, wait=False) as host, Node(limits=QUICK) as node:
        assert (host.online, host.objects) == (False, ())
        node.publish(Hall(), "hall")
        await node.serve(url)
        await until_shown(host, "hall")


async def test_a_host_is_an_object_and_can_be_published(folder: Path) -> None:
    async with Node(limits=QUICK) as node, Node(limits=QUICK) as directory:
        node.publish(Hall(), "hall")
        (url,) = await node.serve(RemoteObjects(url=f"local:{folder}/host"))
        async with browse(url) as host:
            directory.publish(host, "plant")
            (other,) = await directory.serve(f"local:{folder}/directory")
            async with connect(other, "plant", Host) as seen:
                assert seen.objects == ("hall",)
                node.publish(Hall(), "porch")
                await until_shown(seen, "hall", "porch")
            assert link_of(seen).closed
