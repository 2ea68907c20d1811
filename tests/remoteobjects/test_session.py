"""The node's end without the object model, and replicas of hosts that lie, stall or speak something else."""

from __future__ import annotations

import asyncio
import gc
import struct
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from everywire import (
    Code,
    Fault,
    Limits,
    LinkError,
    Node,
    Object,
    Property,
    RemoteProtocolError,
    ReplicaState,
    SignatureMismatch,
    connect,
    link_of,
    members,
    prop,
    slot,
)
from everywire.model import contract_of
from everywire.model.description import describe
from everywire.remoteobjects import NodeSession, RemoteObjects, open_session
from everywire.remoteobjects.codec import (
    CallKind,
    ClassDefinition,
    EnumDef,
    Handshake,
    Init,
    InitDynamic,
    Invoke,
    InvokeReply,
    MethodDef,
    ObjectInfo,
    ObjectList,
    Packet,
    Ping,
    Pong,
    PropertyChange,
    PropertyDef,
    RemoveObject,
    UserTyped,
    encode_packet,
)
from everywire.remoteobjects.codec.extension import NAME, Method, answer
from everywire.remoteobjects.endpoint import replicas
from everywire.remoteobjects.rep.signature import signature_of
from everywire.remoteobjects.wire.layout import definition_of
from tests.conformance.plant import Heard
from tests.remoteobjects.peers import GREETING, QUICK, RawPeer, greet, hosting, raw_host, until_asked_for, until_closed


class Thing(Object):
    value: Property[int] = prop(1, writable=True)

    @slot(timeout=0.01)
    async def ask(self, number: int) -> int:
        return number


class Note(Object):
    text: Property[str] = prop("", writable=True)

    @slot
    async def length(self, text: str) -> int:
        return len(text)


DEFINITION = ClassDefinition(
    "Thing", methods=(MethodDef("ask(int)", "int", ("number",)),), properties=(PropertyDef("value", "int"),)
)
Script = Callable[[RawPeer], Awaitable[None]]


# -------------------------------------------------------------------------------------------- without the object model
async def test_a_session_lists_acquires_and_calls(folder: Path) -> None:
    source = Thing()
    async with hosting(folder, it=source) as (node, url), open_session(url) as session:
        assert session.extended
        assert session.offered == ("it",)
        assert session.objects["it"] == ObjectInfo("it", "Thing", signature_of(contract_of(Thing), qt5=False))
        definition, values = await session.acquire("it")
        assert definition is not None
        assert [method.signature for method in definition.methods] == ["pushValue(qlonglong)", "ask(qlonglong)"]
        assert values == (1,)
        assert await session.invoke("it", 1, 5) == 5
        assert await session.invoke("it", 0, 7, call=CallKind.WRITE_PROPERTY) is None
        assert source.value == 7
        assert node.published


async def test_a_session_tells_news_until_the_object_is_released(folder: Path) -> None:
    source = Thing()
    async with hosting(folder, it=source) as (node, url), open_session(url) as session:
        news = Heard()
        session.news = news
        definition, values = await session.acquire("it", dynamic=False)
        assert (definition, values) == (None, (1,))
        source.value = 2
        changed, notified = (await news.count(2))[:2]
        assert changed == PropertyChange("it", 0, 2)
        assert isinstance(notified, Invoke)
        session.release("it")
        await session.ping()
        source.value = 3
        node.publish(Thing(), "new")
        await news.count(3)
        assert isinstance(news.items[2], ObjectList)
        assert session.offered == ("it", "new")


async def test_a_session_whose_host_is_gone_fails_everything_at_once(folder: Path) -> None:
    async with hosting(folder, it=Thing()) as (node, url), open_session(url) as session:
        await session.acquire("it")
        await node.aclose()
        assert isinstance(await session.wait_lost(), LinkError)
        with pytest.raises(LinkError):
            await session.ping()
        with pytest.raises(LinkError):
            await session.acquire("other")


async def test_what_waits_fails_when_the_link_is_lost(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await peer.find(Invoke)

    async with raw_host(f"local:{folder}/host", script) as url, open_session(url) as session:
        waiting = [
            session.invoke("it", 0, 1),
            asyncio.ensure_future(session.ping()),
            asyncio.ensure_future(session.acquire("it")),
        ]
        for end in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(end, Fault)
            assert end.code is Code.UNAVAILABLE


async def test_a_session_may_leave_out_the_question_whether_the_host_is_everywire(folder: Path) -> None:
    async with hosting(folder, it=Thing()) as (_, url):
        session = NodeSession(Limits(), probe=False)
        await session.open(url)
        assert not session.extended
        assert (await session.acquire("it"))[1] == (1,)
        await session.close()


# ------------------------------------------------------------------------------------------------------ hostile hosts
async def opening_fails(folder: Path, script: Script, *, limits: Limits = QUICK) -> Exception:
    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises((LinkError, RemoteProtocolError)) as caught:
            async with open_session(url, limits=limits):
                pass
    return caught.value


async def says(peer: RawPeer, *items: Packet | bytes) -> None:
    await peer.send(*items)
    await peer.ended()


@pytest.mark.parametrize(
    "greeting,problem",
    [
        (Handshake("QtRO 1.1"), "QtRO 1.1"),
        (bytes.fromhex("00000016000100000010") + "QtRO 1.1".encode("utf-16-be"), "'QtRO 1.1'; this node speaks"),
        (Pong("a"), "did not begin with a handshake"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the host speaks HTTP; use http://"),
        (b"<!DOCTYPE HTML>\n", "the host speaks HTTP; use http://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "begins with b'SSH-', which is not Qt Remote Objects"),
        (GREETING + GREETING, "second handshake"),
    ],
)
async def test_a_host_that_speaks_something_else_is_left_with_the_reason(
    folder: Path, greeting: Packet | bytes, problem: str
) -> None:
    error = await opening_fails(folder, partial(_say, greeting))
    assert isinstance(error, RemoteProtocolError)
    assert problem in str(error)
    assert f"local:{folder}/host: " in str(error)


async def _say(greeting: Packet | bytes, peer: RawPeer) -> None:
    await says(peer, greeting)


async def test_a_host_that_says_nothing_is_left_after_the_handshake_limit(folder: Path) -> None:
    error = await opening_fails(folder, until_closed, limits=Limits(handshake=0.05))
    assert "said nothing of Qt Remote Objects" in str(error)


async def test_a_host_that_hangs_up_is_a_link_error(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await peer.send(GREETING)

    assert isinstance(await opening_fails(folder, script), LinkError)


async def test_a_host_that_hangs_up_without_a_word_may_be_of_another_wire(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        del peer

    error = await opening_fails(folder, script)
    assert isinstance(error, LinkError)
    assert "another wire or TLS may be spoken there" in str(error)
    assert f"local:{folder}/host: " in str(error)


async def attaching_fails(folder: Path, reply: InitDynamic | bytes, *, welcome: bool = False) -> Exception:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it", welcome=welcome)
        await until_asked_for(peer, "it")
        await peer.send(reply)
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises((LinkError, RemoteProtocolError, SignatureMismatch, Fault)) as caught:
            async with connect(url, "it", Thing, timeout=0.5):
                pass
    return caught.value


async def test_an_object_with_too_few_values_does_not_fit(folder: Path) -> None:
    assert "no value for value" in str(await attaching_fails(folder, InitDynamic("it", DEFINITION, ())))


async def test_an_object_with_a_value_of_another_type_does_not_fit(folder: Path) -> None:
    assert isinstance(await attaching_fails(folder, InitDynamic("it", DEFINITION, ("warm",))), SignatureMismatch)


@pytest.mark.parametrize("description", [b"", b"{", b"[]", b'{"name": 1}', describe(contract_of(Thing))[:-5], None, 5])
async def test_an_everywire_host_that_describes_its_object_wrongly_is_left(folder: Path, description: Any) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it", welcome=True)
        asked = await peer.find(Invoke, lambda packet: packet.name == NAME)
        assert asked.index == Method.CONTRACT
        await peer.send(answer(asked.serial, description))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises(LinkError, match="described it wrongly"):
            async with connect(url, "it", Thing, timeout=0.3):
                pass


async def test_an_answer_without_a_class_definition_is_refused(folder: Path) -> None:
    assert "class definition" in str(await attaching_fails(folder, encode_packet(Init("it", (1,)))))


async def contract_told(folder: Path, reply: InitDynamic | Init | bytes) -> Any:
    """Ask a host that is not everywire for a contract, without attaching."""

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(reply)
        await peer.find(RemoveObject, lambda packet: packet.name == "it")
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, Node() as node:
        session = await RemoteObjects(url=url).open(node)
        try:
            return await session.contract("it")
        finally:
            await session.close()


async def test_a_class_definition_is_told_without_attaching(folder: Path) -> None:
    contract = await contract_told(folder, InitDynamic("it", DEFINITION, (1,)))
    assert "value" in contract.members


async def test_a_class_definition_that_cannot_be_read_is_an_error_and_no_wait(folder: Path) -> None:
    with pytest.raises(RemoteProtocolError, match="Mystery"):
        await contract_told(folder, InitDynamic("it", DEFINITION, (UserTyped("Mystery", b"abc"),)))
    with pytest.raises(RemoteProtocolError, match="class definition"):
        await contract_told(folder, Init("it", (1,)))


async def test_a_host_that_hangs_up_while_a_replica_attaches_is_lost(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises((LinkError, Fault)):
            async with connect(url, "it", Thing, timeout=0.3):
                pass


async def test_an_object_that_is_withdrawn_and_shown_while_a_replica_attaches_is_asked_for_again(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(RemoveObject("it"), ObjectList((ObjectInfo("it"),)))
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (3,)))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        assert thing.value == 3


async def test_a_type_that_an_object_announces_is_known_to_the_packet_behind_it(folder: Path) -> None:
    """All of it comes in one chunk, and was read before the announcement was understood."""
    mode = EnumDef("Mode", is_flag=False, is_scoped=False, size=4, keys=(("Off", 0), ("On", 1)))
    definition = ClassDefinition("Thing", enums=(mode,), properties=(PropertyDef("mode", "Mode"),))
    modes = [UserTyped("Mode", struct.pack("<i", number)) for number in (0, 1)]

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", definition, (modes[0],)), PropertyChange("it", 0, modes[1]))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it") as thing:
        changed = Heard()
        members(thing)["mode"].on_change(changed)
        await changed.until(lambda _: thing.mode.name == "On")


async def test_an_object_that_comes_back_different_is_looked_at_anew(folder: Path) -> None:
    links: list[RawPeer] = []

    async def script(peer: RawPeer) -> None:
        links.append(peer)
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (len(links),)))
        if len(links) == 1:
            await peer.find(Invoke)
            await peer.send(RemoveObject("it"), ObjectList((ObjectInfo("it"),)))
            await until_asked_for(peer, "it")
            await peer.send(InitDynamic("it", DEFINITION, ("warm",)))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        with pytest.raises(Fault, match="withdrew"):
            await thing.ask(1)
        assert await Thing.value.wait_for(thing, lambda value: value == 2) == 2
        assert len(links) == 2


async def replica_of(folder: Path, after: Script, act: Callable[[Thing], Awaitable[None]]) -> None:
    """Give *act* a replica of a raw host that goes on with the script *after*."""

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (1,)))
        await after(peer)
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        await act(thing)


async def test_a_call_that_the_host_never_answers_ends_at_its_deadline(folder: Path) -> None:
    """The caller waits two seconds longer than the slot may run, so that the host's own answer wins."""

    async def act(thing: Thing) -> None:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Fault) as caught:
            await thing.ask(5)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        assert 2.0 <= asyncio.get_running_loop().time() - begun < 4.0

    await replica_of(folder, until_closed, act)


@pytest.mark.parametrize(
    "value,code",
    [(None, Code.UNKNOWN), ("text", Code.INTERNAL), ([], Code.INTERNAL), (UserTyped("Pod", b"1234"), Code.INTERNAL)],
)
async def test_a_result_that_cannot_be_one_fails_its_call(folder: Path, value: Any, code: Code) -> None:
    async def answer_wrongly(peer: RawPeer) -> None:
        asked = await peer.find(Invoke)
        await peer.send(InvokeReply("it", asked.serial + 999, 1), InvokeReply("it", asked.serial, value))

    async def act(thing: Thing) -> None:
        with pytest.raises(Fault) as caught:
            await thing.ask(5)
        assert caught.value.code is code

    await replica_of(folder, answer_wrongly, act)


async def test_news_that_cannot_be_is_left_out_and_the_rest_arrives(folder: Path) -> None:
    async def tell(peer: RawPeer) -> None:
        await peer.send(
            PropertyChange("it", 0, "text"),
            PropertyChange("it", 9, 9),
            PropertyChange("other", 0, 9),
            Invoke("it", CallKind.METHOD, 55, (1,)),
            InvokeReply("nobody", 1, 1),
            PropertyChange("it", 0, UserTyped("Pod", b"1234")),
            PropertyChange("it", 0, 6),
        )

    async def act(thing: Thing) -> None:
        assert await Thing.value.wait_for(thing, lambda value: value != 1) == 6

    await replica_of(folder, tell, act)


async def test_what_happens_right_behind_the_first_values_is_not_missed(folder: Path) -> None:
    """All of it comes in one chunk, before the replica has had a turn of the loop."""

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (1,)), *[PropertyChange("it", 0, n) for n in range(2, 9)])
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        assert await Thing.value.wait_for(thing, lambda value: value == 8) == 8


async def test_a_push_that_the_source_ignores_says_what_it_kept(folder: Path) -> None:
    """To a host that is not everywire a ping is the fence behind the write."""

    async def ignore(peer: RawPeer) -> None:
        await peer.find(Invoke, lambda packet: packet.call is CallKind.WRITE_PROPERTY)
        ping = await peer.find(Ping)
        await peer.send(Pong(ping.name))

    async def act(thing: Thing) -> None:
        with pytest.raises(Fault, match="the source kept 1") as caught:
            await Thing.value.push(thing, 5)
        assert caught.value.code is Code.FAILED_PRECONDITION

    await replica_of(folder, ignore, act)


async def test_a_host_that_breaks_the_protocol_is_left_and_found_again(folder: Path) -> None:
    broken: list[int] = []

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (len(broken) + 1,)))
        if not broken:
            broken.append(1)
            await peer.find(Invoke)
            await peer.send(b"\xff" * 20)
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        states = Heard()
        link_of(thing).state_changed.connect(states)
        with pytest.raises(Fault) as caught:
            await thing.ask(1)
        assert caught.value.code is Code.UNAVAILABLE
        assert "a frame of" in caught.value.message
        assert await Thing.value.wait_for(thing, lambda value: value == 2) == 2
        assert [state.value for state in states.items] == ["suspect", "valid"]


async def test_a_host_that_comes_back_with_a_class_that_nobody_can_read_is_tried_again(folder: Path) -> None:
    unusable = ClassDefinition("Thing", methods=tuple(MethodDef(f"m{n}()", "void", ()) for n in range(5000)))
    classes = [DEFINITION, unusable, DEFINITION]
    came = 0

    async def script(peer: RawPeer) -> None:
        nonlocal came
        came += 1
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", classes[came - 1], (came,)))
        if came == len(classes):
            await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        assert await Thing.value.wait_for(thing, lambda value: value == 3) == 3
        assert link_of(thing).state is ReplicaState.VALID


async def test_an_object_that_the_host_takes_back_and_shows_again(folder: Path) -> None:
    async def take_back(peer: RawPeer) -> None:
        await peer.find(Invoke)
        await peer.send(RemoveObject("it"), ObjectList((ObjectInfo("it"),)))
        await until_asked_for(peer, "it")
        await peer.send(encode_packet(InitDynamic("it", DEFINITION, (2,))))

    async def act(thing: Thing) -> None:
        states = Heard()
        link_of(thing).state_changed.connect(states)
        with pytest.raises(Fault, match="withdrew"):
            await thing.ask(1)
        assert await Thing.value.wait_for(thing, lambda value: value == 2) == 2
        await states.until(lambda items: items and items[-1].value == "valid")

    await replica_of(folder, take_back, act)


async def test_a_call_after_the_end_of_a_session_fails_at_once(folder: Path) -> None:
    async with hosting(folder, it=Thing()) as (_, url):
        async with open_session(url) as session:
            pass
        with pytest.raises(Fault) as caught:
            await session.invoke("it", 1, 5)
        assert (caught.value.code, caught.value.may_have_run) == (Code.UNAVAILABLE, False)


async def test_a_host_that_shows_objects_without_end_is_left(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await peer.send(ObjectList((ObjectInfo("x" * 5000), ObjectInfo("y", "z" * 5000))))
        for lot in range(0, 70_000, 10_000):
            await peer.send(ObjectList(tuple(ObjectInfo(f"it{n}") for n in range(lot, lot + 10_000))))
        await peer.ended()

    async with raw_host(f"local:{folder}/host", script) as url, open_session(url) as session:
        assert "more than 65536" in str(await session.wait_lost())
        assert max(map(len, session.objects)) < 10


async def test_a_class_that_was_built_for_a_connection_ends_with_it(folder: Path) -> None:
    async with hosting(folder, it=Thing()) as (_, url):
        built: list[weakref.ref[type]] = []
        for _ in range(2):
            async with connect(url, "it") as thing:
                built += [weakref.ref(type(thing)), weakref.ref(type(thing).__mro__[1])]
            del thing
        gc.collect()
        assert [reference() for reference in built] == [None] * 4


async def test_an_observer_of_the_state_may_push_at_once(folder: Path) -> None:
    source = Thing()
    async with hosting(folder, it=source) as (node, url), connect(url, "it", Thing) as thing:
        pushes: list[asyncio.Task[int]] = []

        def begin(state: ReplicaState) -> None:
            if state is ReplicaState.VALID:
                assert link_of(thing).remote is not None
                pushes.append(asyncio.ensure_future(Thing.value.push(thing, 9)))

        link_of(thing).state_changed.connect(begin)
        node.withdraw("it")
        node.publish(source, "it")
        while not pushes:
            await asyncio.sleep(0)
        assert await pushes[0] == 9


async def test_a_push_to_a_host_that_never_answers_meets_a_deadline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "PUSH_TIMEOUT", 0.01)

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", DEFINITION, (1,)))
        await until_closed(peer)

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it", Thing) as thing:
        with pytest.raises(Fault) as caught:
            await Thing.value.push(thing, 5)
        assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_a_call_that_is_too_large_for_a_host_is_refused_before_it_costs_the_link(folder: Path) -> None:
    source = Note()
    async with hosting(folder, limits=Limits(drain=0.0, frame=10_000), it=source) as (node, url):
        async with connect(url, "it", Note, limits=Limits(frame=10_000)) as note:
            assert await note.length("x" * 4900) == 4900
            for refused in (note.length("x" * 5000), Note.text.push(note, "x" * 5000)):
                with pytest.raises(Fault, match=r"Limits\.frame") as caught:
                    await refused
                assert (caught.value.code, caught.value.may_have_run) == (Code.RESOURCE_EXHAUSTED, False)
            assert await note.length("") == 0
        assert node.refusals["protocol"] == 0


async def test_a_qt_object_with_types_of_its_own_can_be_published_again_to_nodes_like_us(folder: Path) -> None:
    definition = ClassDefinition(
        "Qt",
        methods=(MethodDef("go(QPoint,QDate)", "QPoint", ("to", "when")),),
        properties=(PropertyDef("pos", "QPoint"), PropertyDef("day", "QDate"), PropertyDef("n", "int")),
    )

    async def script(peer: RawPeer) -> None:
        await greet(peer, "it")
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", definition, (None, None, 3)))
        await until_closed(peer)

    async with (
        raw_host(f"local:{folder}/qt", script) as url,
        connect(url, "it") as replica,
        hosting(folder, bridge=replica) as (_, bridge),
        connect(bridge, "bridge") as it,
    ):
        assert (it.pos, it.day, it.n) == (None, None, 3)


async def test_a_link_that_is_lost_while_the_contract_is_asked_for_is_no_unheard_failure(folder: Path) -> None:
    async def script(peer: RawPeer) -> None:
        await greet(peer, "it", welcome=True)
        await peer.find(Invoke)

    async with raw_host(f"local:{folder}/host", script) as url:
        with pytest.raises(Fault, match="lost"):
            async with connect(url, "it", Thing, timeout=0):
                pass
    gc.collect()


async def test_an_object_that_is_another_by_the_time_it_is_attached_to_is_asked_for_anew(folder: Path) -> None:
    attempts = 0

    async def script(peer: RawPeer) -> None:
        nonlocal attempts
        attempts += 1
        await greet(peer, "it", welcome=True)
        asked = await peer.find(Invoke)
        await peer.send(answer(asked.serial, describe(contract_of(Note if attempts == 1 else Thing))))
        await until_asked_for(peer, "it")
        await peer.send(InitDynamic("it", definition_of(contract_of(Thing)), (7,)))
        await until_closed(peer)

    async with raw_host(f"local:{folder}/host", script) as url, connect(url, "it") as it:
        assert it.value == 7
        assert attempts == 2
