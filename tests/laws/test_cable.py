"""Law 5: two engines and a cable that cuts as it likes end in the same state, in the same order, with every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from everywire import Code, Fault
from everywire.remoteobjects.engine import Answered, Engine, Failed, Heard
from everywire.runtime.gate import Invoked
from tests.laws.engines import HANDSHAKE, KINDS, MAX_FRAME, Attached, Call, hosted
from tests.laws.values import VALUES

STEPS = st.one_of(
    st.sampled_from(KINDS).flatmap(
        lambda kind: st.tuples(st.sampled_from(["set", "emit", "call"]), st.just(kind), VALUES[kind])
    ),
    st.tuples(st.sampled_from(["carry_out", "carry_in"]), st.integers(0, 300), st.none()),
)


class Cable:
    """A source and its replica on two engines; bytes travel when, and in pieces as, the test says."""

    def __init__(self) -> None:
        self.out, self.back = bytearray(), bytearray()
        self.outbox = self
        self.hosted = hosted()
        self.source: Any = self.hosted.publication.object
        self.hosted.join(self, dynamic=True, anew=False)  # type: ignore[arg-type]
        self.host = Engine(host=True, max_frame=MAX_FRAME, routes=dict(self.hosted.routes(dynamic=True)))
        assert self.host.data_to_send() == HANDSHAKE
        self.node = Attached(calls=0)
        self.replica = self.node.replica
        self.heard: list[tuple[str, Any]] = []
        self.emitted: list[tuple[str, Any]] = []
        self.calls: list[tuple[Call, Any]] = []
        for kind in KINDS:
            signal = getattr(self.replica, f"said_{kind}")
            signal.connect(lambda value, _number, kind=kind: self.heard.append((kind, value)))

    # What the host's object tells its links.

    def put_change(self, _key: object, frame: bytes, *, alone: bool) -> None:
        self.out += frame

    def put_signal(self, frame: bytes, *, alone: bool) -> None:
        self.out += frame

    # What a test does.

    def do(self, step: str, what: Any, value: Any) -> None:
        """Make one step."""
        if step == "set":
            setattr(self.source, f"value_{what}", value)
        elif step == "emit":
            getattr(self.source, f"said_{what}").emit(value, 1)
            self.emitted.append((what, value))
        elif step == "call":
            call = getattr(self.replica, f"echo_{what}")(value)
            self.calls.append((call, value))
            self.back += b"".join(self.node.sent)
            self.node.sent.clear()
        else:
            self.carry(self.out if step == "carry_out" else self.back, what)

    def carry(self, wire: bytearray, count: int) -> None:
        """Move *count* bytes to the other end."""
        data = bytes(wire[:count])
        del wire[:count]
        if wire is self.out:
            self._arrive(self.node.engine.receive_data(data), self._at_node)
        else:
            self._arrive(self.host.receive_data(data), self._at_host)

    def settle(self) -> None:
        """Move everything until nothing moves."""
        while self.out or self.back:
            self.carry(self.back, len(self.back))
            self.carry(self.out, len(self.out))

    def _arrive(self, events: list[Any], handle: Callable[[Any], None]) -> None:
        for event in events:
            handle(event)

    def _at_host(self, event: Any) -> None:
        assert type(event) is Invoked, event
        try:
            event.door.method(*event.door.check(event.arguments)).send(None)
        except StopIteration as end:
            self.out += event.door.reply(event.token, end.value)

    def _at_node(self, event: Any) -> None:
        if type(event) is Answered:
            event.call.set_result(event.value)
        elif type(event) is Failed:
            event.call.set_exception(event.fault)
        elif type(event) is Heard:
            event.route.tell(*event.arguments)


@given(steps=st.lists(STEPS, max_size=25))
def test_a_source_and_its_replica_reach_the_same_state_however_the_cable_cuts(steps: list[Any]) -> None:
    cable = Cable()
    for step in steps:
        cable.do(*step)
    cable.settle()
    for kind in KINDS:
        assert getattr(cable.replica, f"value_{kind}") == getattr(cable.source, f"value_{kind}")
    assert cable.heard == cable.emitted
    assert [call.outcome for call, _ in cable.calls] == [("result", value) for _, value in cable.calls]
    assert cable.node.channel.waiting == {}
    assert cable.host.receive_eof() == cable.node.engine.receive_eof() == []


def test_a_cut_cable_fails_what_waits_and_a_new_link_goes_on() -> None:
    cable = Cable()
    cable.do("call", "int", 5)
    cable.node.channel.detach(Fault(Code.UNAVAILABLE, "gone"))
    ((kind, error),) = [call.outcome for call, _ in cable.calls]
    assert (kind, error.code) == ("error", Code.UNAVAILABLE)
    refused = cable.replica.echo_int(6)
    assert isinstance(refused, Fault)
    assert not refused.may_have_run
