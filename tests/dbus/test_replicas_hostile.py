"""Services that lie, stammer, flood or fall silent: named errors, no hang, and no harm to others."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    LocalProtocolError,
    Node,
    RemoteProtocolError,
    ReplicaState,
    connect,
    link_of,
)
from everywire.dbus import collection, refresh
from everywire.dbus.session import Answer, Message, Variant
from everywire.runtime.wires import wire_of
from tests.conformance.plant import Heard
from tests.dbus import lab
from tests.dbus.services import INTERFACE, PATH, PROPERTIES, Thing, lamp, serving
from tests.dbus.test_replicas import Lamp, lit, url
from tests.harness import soak

HASTY: Final = Limits(handshake=0.3, drain=0.0)


def holder_of(room: Any) -> Any:
    return link_of(room).channel.carrier._holder


# -------------------------------------------------------------------------------------------------------- odd values
async def test_values_of_a_wrong_type_are_dropped_and_counted(bus: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        thing.set("Brightness", Variant("s", "bright"), how="silently")
        async with connect(url(bus), ".", Lamp) as room:
            assert (room.color, room.serial) == ("warm", "L-1")
            with pytest.raises(LocalProtocolError, match="brightness has no value"):
                room.brightness  # noqa: B018
            thing.set("Brightness", Variant("u", 5))
            thing.set("Brightness", Variant("ai", [1]))
            thing.set("Brightness", Variant("i", -1))
            thing.set("Brightness", Variant("i", 6))
            thing.set("Color", Variant("v", Variant("s", "dim")))
            colors = Heard()
            Lamp.color.on_change(room, colors)
            assert await colors.count(1) == ["dim"]
            assert room.brightness == 6, "what fits is taken, whatever was announced"
            assert holder_of(room).refusals["misfits"] == 3
    assert "does not fit: brightness" in caplog.text


async def test_signals_and_answers_of_a_wrong_type_are_no_values(bus: str) -> None:
    async with lit(bus) as (thing, room):
        heard = Heard()
        room.burnt.connect(lambda hours, reason: heard(reason))
        thing.emit("Burnt", "s", "x")
        thing.emit("Burnt")
        thing.emit("Burnt", "us", 1, "y")
        assert await heard.count(1) == ["y"]
        assert holder_of(room).refusals["misfits"] == 2
        for signature, *body in (("s", "x"), ("dd", 1.0, 2.0), ("",)):
            thing.methods["Blink"] = lambda times, s=signature, b=body: Answer(s, *b)  # type: ignore[misc]
            with pytest.raises(Fault, match="result of Blink does not fit") as caught:
                await room.blink(1)
            assert caught.value.code is Code.INTERNAL


async def test_news_with_an_odd_body_are_no_news(bus: str) -> None:
    async with lit(bus) as (thing, room):
        emit = thing.service.connection.emit
        for signature, *body in (("s", INTERFACE), ("sa{ss}as", INTERFACE, {}, []), ("",)):
            emit(PATH, PROPERTIES, "PropertiesChanged", signature, *body)
        emit(PATH, PROPERTIES, "PropertiesVanished", "s", "x")
        emit(PATH, "org.everywire.Object1", "Gap", "t", 5)
        emit(PATH, "org.everywire.Object1", "Item", "uv", 1, Variant("s", "x"))
        emit(PATH, "org.everywire.Object1", "Ended", "uss", 1, "", "")
        thing.set("Brightness", Variant("u", 1))
        assert await Lamp.brightness.wait_for(room, lambda value: value == 1) == 1
        assert link_of(room).state is ReplicaState.VALID


async def test_a_stale_value_that_cannot_be_read_stays_as_it_was(bus: str) -> None:
    async with lit(bus) as (thing, room):
        thing.broken = {"Color"}
        thing.tell({}, "Color", "Nothing")
        await thing.service.until_asked("Get")
        thing._get = lambda *_: Answer("s", "no variant")  # type: ignore[method-assign]
        thing.tell({}, "Color")
        await thing.service.until_asked("Get", 2)
        assert await room.blink(2) == 1.0
        assert room.color == "warm"


async def test_a_value_whose_question_is_never_answered_is_asked_for_again(bus: str) -> None:
    async with serving(bus) as service:
        thing, never = lamp(service), asyncio.get_running_loop().create_future()
        get = thing._get
        async with connect(url(bus), ".", Lamp, limits=HASTY) as room:
            thing._get = lambda *_: never  # type: ignore[method-assign]
            thing.set("Color", Variant("s", "dim"), how="invalidated")
            await service.until_asked("Get")
            thing._get = get  # type: ignore[method-assign]
            with pytest.raises(Fault, match="no answer"):
                await room.hang()  # as long as a question waits for its answer
            thing.set("Color", Variant("s", "red"), how="invalidated")
            assert await Lamp.color.wait_for(room, lambda value: value == "red") == "red"
        never.cancel()


async def test_a_member_that_errs_again_and_again_is_logged_once(bus: str, caplog: pytest.LogCaptureFixture) -> None:
    async with lit(bus) as (thing, room):
        thing.broken = {"Color"}
        for _ in range(50):
            thing.set("Brightness", Variant("s", "bright"))
            thing.emit("Burnt", "s", "x")
        for count in range(1, 4):
            thing.tell({}, "Color")
            await thing.service.until_asked("Get", count)
            assert await room.blink(2) == 1.0
        assert holder_of(room).refusals["misfits"] == 100
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 3


# -------------------------------------------------------------------------------------------------- odd descriptions
ODD: Final = "<node><interface name='a.b'><property name='p' type='a' access='read'/></interface></node>"
BOMB: Final = '<!DOCTYPE node [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><node>&b;</node>'


@pytest.mark.parametrize(
    "answer, words",
    [
        (Answer("s", "not xml"), "no XML"),
        (Answer("s", BOMB), "document type"),
        (Answer("s", "<html/>"), "begins with <html>"),
        (Answer("i", 5), "describes itself with i"),
        (Answer("s", "<node><interface name='x'/></node>"), "interface name"),
        (Answer("s", ODD), "no signature"),
        (Answer("s", "<node>" + "<interface name='a.b'/>" * 110_000 + "</node>"), "100000 elements"),
        (Answer("s", f"<node>{' ' * 5_000_000}</node>"), "bytes"),
    ],
    ids=["text", "bomb", "html", "number", "name", "signature", "elements", "giant"],
)
async def test_a_description_that_is_none_is_a_named_error(bus: str, answer: Answer, words: str) -> None:
    async with serving(bus) as service:

        def handle(call: Message) -> Answer:
            if call.member != "Introspect":
                raise Fault(Code.NOT_FOUND, "no")
            return answer

        service.connection.handle(PATH, handle)
        with pytest.raises((RemoteProtocolError, LinkError, Fault), match=words):
            async with connect(url(bus), ".", timeout=0):
                pass


async def test_a_service_that_only_pretends_to_be_everywire_is_found_out(bus: str) -> None:
    xml = '<interface name="org.everywire.Object1"><property name="Contract" type="s" access="read"/></interface>'
    contracts = [Variant("s", "nonsense"), Variant("i", 1), Variant("s", '{"name": "X", "members": []}'), None]
    async with serving(bus) as service:
        thing = service.add(xml=xml)
        for contract in contracts:
            thing.values["org.everywire.Object1"] = {} if contract is None else {"Contract": contract}
            for attached in (Answer("a{sv}", {}), Answer("i", 1), Answer()):
                thing.methods["Attach"] = lambda answer=attached: answer
                if contract is contracts[2] and attached.signature == "a{sv}":
                    continue  # an object of everywire, if a dull one
                with pytest.raises((RemoteProtocolError, LinkError, Fault)):
                    async with connect(url(bus), ".", timeout=0):
                        pass


@pytest.mark.parametrize(
    "answer",
    [Answer(), Answer("s", "x"), Answer("v", Variant("i", 5)), Answer("vv", Variant("s", "{}"), Variant("s", "{}"))],
    ids=["nothing", "text", "number", "several"],
)
async def test_a_contract_that_is_asked_for_and_is_none_is_a_named_error(bus: str, answer: Answer) -> None:
    async with serving(bus) as service, Node() as node:
        thing = service.add(xml='<interface name="org.everywire.Object1"/>')
        thing._get = lambda *_: answer  # type: ignore[method-assign]
        session = await wire_of(url(bus)).open(node)
        with pytest.raises(RemoteProtocolError, match="its contract is no text"):
            await session.contract(".")
        await session.close()


async def test_values_that_an_everywire_host_sends_wrongly_are_a_named_error(bus: str) -> None:
    contract = '{"name":"X","members":[{"kind":"property","name":"size","parameters":[{"name":"size","type":"i64"}]}]}'
    xml = """<interface name="org.everywire.Object1"/>
      <interface name="org.acme.X1"><property name="Size" type="x" access="read"/></interface>"""
    async with serving(bus) as service:
        thing = service.add(xml=xml)
        thing.values["org.everywire.Object1"] = {"Contract": Variant("s", contract)}
        thing.methods["Attach"] = lambda: Answer("a{sv}", {"Size": Variant("s", "big")})
        with pytest.raises(LinkError, match="size"):
            async with connect(url(bus), ".", timeout=0):
                pass
        thing.methods["Attach"] = lambda: Answer("a{sv}", {"Size": Variant("x", 5)})
        async with connect(url(bus), ".", timeout=0) as room:
            assert room.size == 5


# --------------------------------------------------------------------------------------------------------- silence
def silent(thing: Thing, *members: str) -> None:
    """Never answer these."""
    handle = thing.handle

    def mute(call: Message) -> Any:
        if call.member in members:
            thing.service.asked.append(call.member)
            thing.service.changed.set()
            return asyncio.get_running_loop().create_future()
        return handle(call)

    thing.remove()
    thing.remove = thing.service.connection.handle(thing.path, mute)


@pytest.mark.parametrize("member", ["Introspect", "GetAll"])
async def test_a_service_that_never_answers_is_given_up(bus: str, member: str) -> None:
    async with serving(bus) as service:
        silent(lamp(service), member)
        with pytest.raises(LinkError, match=r"did not (answer|tell).*0.3 s"):
            async with connect(url(bus), ".", Lamp, timeout=0, limits=HASTY):
                pass


async def test_a_bus_that_never_answers_is_given_up(own_bus: lab.Bus) -> None:
    began = time.monotonic()
    with own_bus.frozen(), pytest.raises(LinkError, match=r"did not answer within 0.3 s"):
        async with connect(url(own_bus.address), ".", Lamp, timeout=0, limits=HASTY):
            pass
    assert time.monotonic() - began < 5


async def test_a_service_that_never_says_what_it_offers_can_be_used(bus: str) -> None:
    async with serving(bus) as service:
        silent(lamp(service), "GetManagedObjects")
        async with connect(url(bus), ".", Lamp, limits=HASTY) as room:
            assert await room.blink(2) == 1.0
        with pytest.raises(LinkError, match="GetManagedObjects"):
            async with collection(url(bus), Lamp, timeout=1.0, limits=HASTY):
                pass


async def test_a_refresh_that_nobody_answers_ends(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        async with connect(url(bus), ".", Lamp, limits=HASTY) as room:
            silent(thing, "GetAll")
            with pytest.raises(LinkError, match=r"GetAll within 0.3 s"):
                await refresh(room)
            assert await room.blink(2) == 1.0


@pytest.mark.parametrize("member", ["Introspect", "GetAll"])
async def test_a_service_that_dies_while_it_is_attached_to_is_waited_for(bus: str, member: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        silent(thing, member)
        connected = Heard()

        async def use() -> None:
            async with connect(url(bus), ".", Lamp) as room:
                connected(await room.blink(2))

        async with asyncio.TaskGroup() as group:
            group.create_task(use())
            await service.until_asked(member)
            service.connection.abort()
            async with serving(bus, early=lamp):
                assert await connected.count(1) == [1.0]


# ----------------------------------------------------------------------------------------------------------- floods
async def test_a_flood_is_survived_and_ends_with_the_truth(bus: str) -> None:
    async with lit(bus) as (thing, room), lit_other(bus) as other:
        count = soak(5_000, 100_000)
        heard = 0

        def hear(hours: int, reason: str) -> None:
            nonlocal heard
            heard += 1

        room.burnt.connect(hear)
        for n in range(count):
            thing.set("Brightness", Variant("u", n))
            thing.emit("Burnt", "us", n, "x")
            if not n % 100:
                await asyncio.sleep(0)
                assert await other.blink(2) == 1.0
        await Lamp.brightness.wait_for(room, lambda value: value == count - 1)
        assert await room.blink(2) == 1.0
        assert heard == count


def lit_other(bus: str) -> Any:
    """Another service on the same connection."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def other() -> Any:
        there = f"dbus:{bus}?service=org.acme.Other&path={PATH}"
        async with serving(bus, "org.acme.Other", early=lamp), connect(there, ".", Lamp) as room:
            yield room

    return other()


async def test_an_answer_that_is_too_large_fails_its_call_alone(bus: str) -> None:
    async with serving(bus) as service:
        thing = lamp(service)
        big = '<method name="Big"><arg type="s" direction="out"/></method>'
        thing.xml += f'<interface name="org.acme.Big1">{big}</interface>'
        thing.methods["Big"] = lambda: Answer("s", "x" * 100_000)
        async with connect(url(bus), ".", limits=Limits(frame=50_000)) as room:
            with pytest.raises(Fault, match="frame") as caught:
                await room.big()
            assert caught.value.code is Code.RESOURCE_EXHAUSTED
            with pytest.raises(Fault, match="larger than") as caught:
                await room.refuse("x" * 100_000)
            assert (caught.value.code, caught.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
            assert await room.blink(2) == 1.0


async def test_texts_that_d_bus_cannot_carry_are_refused_before_they_are_sent(bus: str) -> None:
    async with lit(bus) as (thing, room):
        for text in ("a\0b", "\ud800"):
            with pytest.raises(Fault) as caught:
                await room.refuse(text)
            assert (caught.value.code, caught.value.may_have_run) == (Code.INVALID_ARGUMENT, False)
            with pytest.raises(Fault):
                await Lamp.color.push(room, text)
        assert "Refuse" not in thing.service.asked
