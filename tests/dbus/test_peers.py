"""The peer programs among themselves: what each shows of a boiler that another offers, without any code of ours."""

from __future__ import annotations

import pytest

from tests.dbus.programs import REFUSED, Peer, Raised, peer

pytestmark = pytest.mark.interop


async def show_all(client: Peer, service: Peer) -> None:
    await client.listen()
    assert await client.call("AddOne", 4) in ((5,), 5)
    assert await client.call("Split", "hall") == ("HALL", 4)
    assert await client.call("Basics", 1, -2, 3, -4, 5, -6, 7, 1.5, True, "é") == (1, -2, 3, -4, 5, -6, 7, 1.5, True, "é")
    assert await client.call("Move", (3.0, 4.0)) in (((3.0, 4.0),), (3.0, 4.0))
    assert await client.heard("Moved") == ((3.0, 4.0),)
    assert await client.call("Tally", ["a", "b", "a"]) in (({"a": 2, "b": 1},), {"a": 2, "b": 1})
    assert await client.call("Wrap", ("as", ["a"])) in ((("as", ["a"]),), ("as", ["a"]))
    assert await client.call("Rows", [(1, "a"), (2, "b")]) in (([(1, "a"), (2, "b")],), [(1, "a"), (2, "b")])
    assert await client.call("Data", b"\x00\xff") in ((b"\x00\xff",), b"\x00\xff")
    assert await client.ask("read_all", text="through a pipe") in (("through a pipe",), "through a pipe")
    assert await client.ask("open_text", text="through a pipe") == "through a pipe"
    with pytest.raises(Raised) as refused:
        await client.call("Refuse", "not today")
    assert (refused.value.name, refused.value.message) == (REFUSED, "not today")
    await service.fire(3)
    assert [await client.heard("Fired") for _ in range(3)] == [(number, "asked") for number in range(3)]
    await client.set("Level", 2.5)
    assert await client.changed("Level") == 2.5
    await service.change("Label", "changed")
    assert await client.changed("Label") == "changed"
    assert await client.get("Level") == 2.5


@pytest.mark.parametrize("client", ["jeepney", "sdbus"])
@pytest.mark.parametrize("service", ["jeepney", "sdbus"])
async def test_peers_understand_each_other(service: str, client: str, bus: str) -> None:
    async with peer(service, "serve", bus) as serving, peer(client, "use", bus) as using:
        await show_all(using, serving)
