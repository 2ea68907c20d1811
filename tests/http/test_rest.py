"""Objects as resources: what each path gives, and how each refusal is said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from everywire import Code, Limits, Object, Policy, Property, Role, allow, prop, slot
from everywire.http.problems import STATUS
from tests.http.conftest import Trail
from tests.http.peers import QUICK, Mode, Thermostat, served, until


async def test_objects_are_listed_with_their_place() -> None:
    async with served(hall=Thermostat(), cellar=Thermostat()) as host:
        answer = await host.ask("GET /objects")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json == [
            {"name": "hall", "class": "Thermostat", "doc": "Keeps one room warm.", "href": "/objects/hall"},
            {"name": "cellar", "class": "Thermostat", "doc": "Keeps one room warm.", "href": "/objects/cellar"},
        ]


async def test_an_object_its_values_one_value_and_its_contract() -> None:
    async with served(hall=Thermostat()) as host:
        values = {"target": 21.0, "current": 20.0, "mode": "OFF", "anything": None, "error": 1.0}
        assert (await host.ask("GET /objects/hall")).json["properties"] == values
        assert (await host.ask("GET /objects/hall/properties")).json == values
        assert (await host.ask("GET /objects/hall/properties/mode")).body == b'"OFF"'
        contract = (await host.ask("GET /objects/hall/contract")).json
        assert [member["name"] for member in contract["members"]][:2] == ["target", "current"]


async def test_a_write_answers_with_the_value_that_the_source_then_has() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        answer = await host.ask("PUT /objects/hall/properties/target", body=22)
        assert (answer.status, answer.body) == (200, b"22.0")
        assert room.target == 22.0
        assert (await host.ask("PUT /objects/hall/properties/mode", body="HEAT")).json == "HEAT"
        assert room.mode is Mode.HEAT


@pytest.mark.parametrize(
    "path, body, problem",
    [
        ("target", 99, (422, "OUT_OF_RANGE")),
        ("target", "warm", (400, "INVALID_ARGUMENT")),
        ("target", None, (400, "INVALID_ARGUMENT")),
        ("mode", "COOL", (400, "INVALID_ARGUMENT")),
        ("current", 5, (405, "FAILED_PRECONDITION")),
        ("error", 5, (405, "FAILED_PRECONDITION")),
        ("boost", 5, (404, "NOT_FOUND")),
        ("nothing", 5, (404, "NOT_FOUND")),
        ("__class__", 5, (404, "NOT_FOUND")),
    ],
)
async def test_a_write_that_cannot_be_is_refused(path: str, body: Any, problem: tuple[int, str]) -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        answer = await host.ask(f"PUT /objects/hall/properties/{path}", body=json.dumps(body).encode())
        assert answer.problem == problem
        assert room.target == 21.0
        if problem[0] == 405:
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_value_of_a_wrong_type_is_told_by_its_property() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("PUT /objects/hall/properties/target", body=b'"warm"')
        assert answer.json["detail"] == "target: expected float, got str"


@pytest.mark.parametrize("arguments", [{"minutes": 5}, [5]])
async def test_arguments_are_named_or_in_order(arguments: Any) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/boost", arguments)
        assert (answer.status, answer.json) == (200, 300)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}"])
async def test_missing_arguments_have_their_defaults(body: bytes) -> None:
    async with served(hall=Thermostat()) as host:
        assert (await host.ask("POST /objects/hall/slots/boost", body=body)).json == 600


async def test_a_slot_without_a_result_answers_without_content() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        answer = await host.call("hall/slots/stop")
        assert (answer.status, answer.body) == (204, b"")
        assert "content-length" not in answer.headers
        assert room.seen == ["stopped"]


async def test_structures_go_in_and_out() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/describe", [[{"celsius": 3, "sensor": "roof"}, {"celsius": 4.5}]])
        assert answer.json == {"roof": {"celsius": 3.0, "sensor": "roof"}, "": {"celsius": 4.5, "sensor": ""}}


@pytest.mark.parametrize(
    "path, body, problem",
    [
        ("boost", b"5", (400, "INVALID_ARGUMENT")),
        ("boost", b"[5, 6]", (400, "INVALID_ARGUMENT")),
        ("boost", b'{"hours": 5}', (400, "INVALID_ARGUMENT")),
        ("boost", b"[256]", (422, "OUT_OF_RANGE")),
        ("boost", b"[5", (400, "INVALID_ARGUMENT")),
        ("boost", b"\xff", (400, "INVALID_ARGUMENT")),
        ("echo", b'["\xff"]', (400, "INVALID_ARGUMENT")),
        ("echo", b'["\xed\xa0\x80"]', (400, "INVALID_ARGUMENT")),
        ("echo", b'{"value": {"\xff": 1}}', (400, "INVALID_ARGUMENT")),
        ("echo", b"[1e999]", (400, "INVALID_ARGUMENT")),
        ("echo", b"[" + b"1" * 100_000 + b"]", (400, "INVALID_ARGUMENT")),
        ("boost", b"[" * 65 + b"]" * 65, (400, "INVALID_ARGUMENT")),
        ("boost", b"[" * 100_000, (400, "INVALID_ARGUMENT")),
        ("refuse", b"[]", (400, "INVALID_ARGUMENT")),
        ("target", b"[]", (404, "NOT_FOUND")),
        ("overheated", b"[]", (404, "NOT_FOUND")),
        ("_write", b"[]", (404, "NOT_FOUND")),
        ("__init__", b"[]", (404, "NOT_FOUND")),
    ],
)
async def test_a_call_that_cannot_be_is_refused_and_has_not_run(path: str, body: bytes, problem: Any) -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        answer = await host.ask(f"POST /objects/hall/slots/{path}", body=body)
        assert answer.problem == problem
        assert answer.json["may_have_run"] is False
        assert room.seen == []


async def test_depth_is_measured_outside_of_texts() -> None:
    async with served(hall=Thermostat()) as host:
        deep: Any = "[[[" * 50 + '\\"]'
        for _ in range(60):
            deep = [deep]
        assert (await host.call("hall/slots/echo", [deep])).json == deep
        flat = [[n] for n in range(200)]
        assert (await host.call("hall/slots/echo", [flat])).json == flat


@pytest.mark.parametrize("code", Code)
async def test_each_fault_of_a_slot_has_its_status(code: Code) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/refuse", [code.name])
        assert answer.problem == (STATUS[code], code.name)
        assert answer.json["detail"] == "because"
        assert answer.json["may_have_run"] is True
        assert ("retry-after" in answer.headers) == (answer.status in (429, 503))
        assert ("www-authenticate" in answer.headers) == (answer.status == 401)


async def test_the_details_of_a_crash_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.call("hall/slots/crash")
        assert answer.problem == (500, "UNKNOWN")
        assert b"swordfish" not in answer.body
        assert "swordfish" in caplog.text
        assert (await host.call("hall/slots/lie")).problem == (500, "INTERNAL")


async def test_a_slot_knows_who_calls_it() -> None:
    async with served(hall=Thermostat()) as host:
        assert (await host.call("hall/slots/who")).json == "anonymous calls hall.who over http"


async def test_a_slot_that_runs_too_long_is_answered_and_stopped() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        answer = await host.call("hall/slots/late")
        assert answer.problem == (504, "DEADLINE_EXCEEDED")
        await until(lambda: room.seen)
        assert room.seen == ["late ended"]


async def test_a_client_that_leaves_does_not_stop_its_slot() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        async with host.connection() as raw:
            await raw.send("POST /objects/hall/slots/wait", body=["x"])
            await until(lambda: room.seen == ["began"])
        assert len(host.server.running()) == 1
        assert (await host.ask("GET /objects")).status == 200
        room.go.set()
        await until(lambda: room.seen == ["began", "ended"])
        await until(lambda: host.server.running() == [])
        await host.idle()


async def test_more_calls_at_once_than_allowed_are_refused() -> None:
    room = Thermostat()
    async with served(hall=room, limits=Limits(pending_calls=2, drain=0.0)) as host:
        async with host.connection() as one, host.connection() as two:
            for raw in (one, two):
                await raw.send("POST /objects/hall/slots/wait", body=[])
            await until(lambda: room.seen == ["began", "began"])
            answer = await host.call("hall/slots/wait")
            assert answer.problem == (429, "RESOURCE_EXHAUSTED")
            assert answer.headers["retry-after"] == "1"
            assert (await host.call("hall/slots/boost")).status == 200
            room.go.set()
            assert (await one.answer()).json == "done"
            assert (await two.answer()).json == "done"
        assert (await host.call("hall/slots/wait")).json == "done"


@pytest.mark.parametrize(
    "line, problem, allow",
    [
        ("GET /nope", (404, "NOT_FOUND"), None),
        ("GET /objects/", (404, "NOT_FOUND"), None),
        ("GET /objects/attic", (404, "NOT_FOUND"), None),
        ("GET /objects/hall/slots/boost", (405, "UNIMPLEMENTED"), "POST, OPTIONS"),
        ("DELETE /objects", (405, "UNIMPLEMENTED"), "GET, HEAD, OPTIONS"),
        ("PATCH /objects/hall/properties/target", (405, "UNIMPLEMENTED"), "GET, PUT, HEAD, OPTIONS"),
        ("POST /objects/hall/properties/target", (405, "UNIMPLEMENTED"), "GET, PUT, HEAD, OPTIONS"),
        ("GET /objects/../../etc/passwd", (404, "NOT_FOUND"), None),
        ("GET /objects/%2e%2e/%2e%2e/etc/passwd", (404, "NOT_FOUND"), None),
        ("GET /objects/hall%2Fproperties", (404, "NOT_FOUND"), None),
    ],
)
async def test_paths_and_methods_that_are_not_there(line: str, problem: tuple[int, str], allow: str | None) -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask(line)
        assert answer.problem == problem
        assert answer.headers.get("allow") == allow


async def test_head_and_options() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("HEAD /objects/hall/properties/target")
        assert (answer.status, answer.headers["content-length"]) == (200, "4")
        assert (await host.ask("HEAD /objects/hall/events")).headers["content-type"] == "text/event-stream"
        answer = await host.ask("OPTIONS /objects/hall/properties/target")
        assert (answer.status, answer.headers["allow"]) == (204, "GET, PUT, HEAD, OPTIONS")
        assert (await host.ask("OPTIONS *")).status == 204


@pytest.mark.parametrize("name", ["hall", "the hall", 'a"b<c>', "größe", "100%", "a&b=c;d", "x:y@z", "…", "~"])
async def test_any_name_can_be_reached(name: str) -> None:
    async with served(**{name: Thermostat()}) as host:
        (listed,) = (await host.ask("GET /objects")).json
        assert listed["name"] == name
        assert (await host.ask(f"GET {listed['href']}")).json["name"] == name
        assert (await host.ask(f"POST {listed['href']}/slots/boost", body=[])).json == 600


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_no_client_can_ask_for_is_not_published(name: str) -> None:
    async with served() as host:
        with pytest.raises(TypeError, match="HTTP cannot carry"):
            host.node.publish(Thermostat(), name)
        assert name not in host.node.published


async def test_an_object_can_come_and_go() -> None:
    async with served() as host:
        assert (await host.ask("GET /objects")).json == []
        host.node.publish(Thermostat(), "hall")
        assert (await host.ask("GET /objects/hall")).status == 200
        host.node.withdraw("hall")
        assert (await host.ask("GET /objects/hall")).problem == (404, "NOT_FOUND")


# --------------------------------------------------------------------------------------------------- what is allowed
async def test_what_may_not_be_seen_looks_as_if_it_were_not_there(trail: Trail) -> None:
    hidden = Policy(role=lambda _: Role.STRANGER)
    async with served(hall=Thermostat()) as host:
        host.node.publish(Thermostat(), "vault", policy=hidden)
        absent = await host.ask("GET /objects/attic")
        assert [entry["name"] for entry in (await host.ask("GET /objects")).json] == ["hall"]
        assert "vault" not in (await host.ask("GET /openapi.json")).body.decode()
        assert b"vault" not in (await host.ask("GET /")).body
        assert trail.take() == []
        for line in ("GET /objects/vault", "GET /objects/vault/events", "POST /objects/vault/slots/boost"):
            answer = await host.ask(line, body=[] if line.startswith("POST") else None)
            assert (answer.status, answer.body) == (404, absent.body)
            (told,) = trail.take()
            assert (told["denied"], told["object"]) == ("object", "vault")


async def test_a_member_may_be_for_some_only(trail: Trail) -> None:
    room = Thermostat()
    async with served() as host:
        host.node.publish(room, "hall", policy=allow(Role.ADMIN, "boost"))
        host.node.publish(Thermostat(), "cellar", policy=Policy(role=lambda _: Role.VIEWER))
        assert (await host.call("hall/slots/boost")).status == 200
        assert trail.take() == []
        for line in ("POST /objects/cellar/slots/boost", "PUT /objects/cellar/properties/target"):
            answer = await host.ask(line, body=b"\xff\xff{[")  # whoever may not call learns nothing of the arguments
            assert answer.problem == (403, "PERMISSION_DENIED")
            assert len(trail.take()) == 1
        assert (await host.ask("GET /objects/cellar/properties/target")).json == 21.0


async def test_a_changed_policy_acts_on_the_next_request() -> None:
    policy = Policy()
    async with served() as host:
        host.node.publish(Thermostat(), "hall", policy=policy)
        async with host.connection() as raw:
            await raw.send("POST /objects/hall/slots/boost", body=[])
            assert (await raw.answer()).status == 200
            policy.role = lambda _: Role.VIEWER
            await raw.send("POST /objects/hall/slots/boost", body=[])
            assert (await raw.answer()).status == 403


# -------------------------------------------------------------------------------------------------- Idempotency-Key
async def test_a_repeated_call_gets_the_same_answer_without_a_second_run() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        for _ in range(3):
            assert (await host.call("hall/slots/boost", [7], 'Idempotency-Key: "one"')).json == 420
        assert room.seen == [7]
        assert (await host.call("hall/slots/boost", [7], "Idempotency-Key: two")).json == 420
        assert room.seen == [7, 7]
        assert (await host.call("hall/slots/stop", [], "Idempotency-Key: three")).status == 204
        assert (await host.call("hall/slots/stop", [], "Idempotency-Key: three")).status == 204
        assert room.seen == [7, 7, "stopped"]


async def test_a_call_repeated_while_it_runs_waits_for_the_first() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        async with host.connection() as first, host.connection() as second:
            for raw in (first, second):
                await raw.send("POST /objects/hall/slots/wait", "Idempotency-Key: k", body=["x"])
            await until(lambda: room.seen)
            room.go.set()
            assert (await first.answer()).json == (await second.answer()).json == "x"
        assert room.seen == ["began", "ended"]


async def test_a_key_is_for_one_call_only() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        await host.call("hall/slots/boost", [7], "Idempotency-Key: k")
        for path, arguments in (("boost", [8]), ("boost", {"minutes": 7}), ("stop", [7])):
            answer = await host.call(f"hall/slots/{path}", arguments, "Idempotency-Key: k")
            assert answer.problem == (422, "INVALID_ARGUMENT")
        assert room.seen == [7]


async def test_a_key_does_not_remember_what_was_refused() -> None:
    policy = Policy(role=lambda _: Role.VIEWER)
    room = Thermostat()
    async with served() as host:
        host.node.publish(room, "hall", policy=policy)
        assert (await host.call("hall/slots/boost", [7], "Idempotency-Key: k")).status == 403
        policy.role = lambda _: Role.OPERATOR
        assert (await host.call("hall/slots/boost", [700], "Idempotency-Key: k")).status == 422
        assert (await host.call("hall/slots/boost", [7], "Idempotency-Key: k")).json == 420
        policy.role = lambda _: Role.VIEWER
        assert (await host.call("hall/slots/boost", [7], "Idempotency-Key: k")).status == 403


@pytest.mark.parametrize("key", ["", '""', "x" * 300])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    async with served(hall=Thermostat()) as host:
        assert (await host.call("hall/slots/boost", [], f"Idempotency-Key: {key}")).status == 400
        assert (await host.call("hall/slots/readings", [1], "Idempotency-Key: k")).status == 400


# ------------------------------------------------------------------------------------------------------------ values
class Loose(Object):
    anything: Property[Any] = prop(None)

    @slot
    async def split(self) -> str:
        return "a\r\nSet-Cookie: b=1\r\n\r\n<script>\x00\ud800"


async def test_a_value_cannot_leave_its_body() -> None:
    """Header splitting: results are JSON, and no header is made of them."""
    async with served(hall=Loose()) as host:
        answer = await host.call("hall/slots/split")
        assert "set-cookie" not in answer.headers
        assert answer.json == "a\r\nSet-Cookie: b=1\r\n\r\n<script>\x00\ufffd"
        assert b"\r" not in answer.body


async def test_every_answer_is_safe_from_caches_frames_and_guesses() -> None:
    async with served(hall=Thermostat()) as host:
        for line in ("GET /objects", "GET /nope", "GET /", "GET /objects/hall/properties/target"):
            headers = (await host.ask(line)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "server" not in headers
            assert "date" in headers


# ----------------------------------------------------------------------------------------------------------- the end
async def test_a_closing_node_lets_running_slots_answer() -> None:
    room = Thermostat()
    limits = Limits(drain=5.0)
    async with served(hall=room, limits=limits) as host, host.connection() as raw, host.connection() as idle:
        await idle.send("GET /objects")
        assert (await idle.answer()).status == 200
        await raw.send("POST /objects/hall/slots/wait", body=["late"])
        await until(lambda: room.seen)
        closing = asyncio.ensure_future(host.node.aclose(grace=5.0))
        await until(lambda: host.server.closing)
        await idle.send("GET /objects")
        answer = await idle.answer()
        assert answer.problem == (503, "UNAVAILABLE")
        room.go.set()
        assert (await raw.answer()).json == "late"
        assert await raw.ended() == b""
        await closing


async def test_a_slot_that_outlasts_the_grace_is_answered_all_the_same() -> None:
    room = Thermostat()
    async with served(hall=room, limits=QUICK) as host, host.connection() as raw:
        await raw.send("POST /objects/hall/slots/wait", body=["late"])
        await until(lambda: room.seen)
        await host.node.aclose(grace=0.01)
        answer = await raw.answer()
        assert answer.problem == (503, "UNAVAILABLE")
        assert answer.json["may_have_run"] is True
        assert room.seen == ["began", "cancelled"]
