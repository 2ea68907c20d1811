"""What describes a host: OpenAPI and Thing Descriptions that are valid and true, and the page."""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from everywire import Object, Property, Range, Unit, f32, prop, signal, slot, u8, u64
from tests.conformance import plant
from tests.http.peers import Served, Thermostat, served

TD_SCHEMA = json.loads((Path(__file__).parent / "td-1.1.schema.json").read_text(encoding="utf-8"))


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Flags(enum.Flag):
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0


@dataclass
class Shape:
    points: list[Point]
    colour: Colour = Colour.RED


class Everything(Object):
    """One property of every type."""

    yes: Property[bool] = prop(True)
    small: Property[u8] = prop(5, writable=True)
    large: Property[u64] = prop(1 << 63, writable=True)
    whole: Property[int] = prop(-7)
    ranged: Property[int] = prop(7, minimum=1, maximum=10)
    real: Property[float] = prop(1.5)
    bounded: Property[float] = prop(1.5, minimum=0, maximum=2, unit="m")
    least: Property[float] = prop(1.5, minimum=0)
    short: Property[f32] = prop(0.5)
    text: Property[str] = prop("ü")
    raw: Property[bytes] = prop(b"\0\xff")
    colour: Property[Colour] = prop(Colour.GREEN)
    flags: Property[Flags] = prop(Flags.LEFT | Flags.RIGHT)
    moment: Property[datetime] = prop(datetime(2026, 11, 20, 12, 0, 1))  # noqa: DTZ001
    day: Property[date] = prop(date(2026, 11, 20))
    clock: Property[time] = prop(time(12, 0, 1))
    span: Property[timedelta] = prop(timedelta(days=1, seconds=1))
    key: Property[UUID] = prop(UUID(int=7))
    numbers: Property[list[float]] = prop(factory=lambda: [1.0, 2.0])
    pair: Property[tuple[int, str]] = prop((1, "a"))
    row: Property[tuple[int, ...]] = prop((1, 2, 3))
    table: Property[dict[str, Point]] = prop(factory=lambda: {"a": Point(1.0)})
    maybe: Property[float | None] = prop(None)
    shape: Property[Shape] = prop(factory=lambda: Shape([Point(1.0, 2.0)]))
    anything: Property[Any] = prop(None)

    @signal
    def drawn(self, shape: Shape, places: list[Point]) -> None:
        """Something was drawn."""

    @signal
    def ticked(self) -> None: ...

    @slot
    async def draw(self, shape: Shape, times: Annotated[u8, Range(1, 5), Unit("1")] = 2) -> list[Shape]:
        """Draw it."""
        return [shape] * times

    @slot
    async def forget(self) -> None: ...

    @slot
    async def trace(self, every: float) -> AsyncIterator[Point]:
        yield Point(every)


# ------------------------------------------------------------------------------------------------------------ OpenAPI
async def test_openapi_is_valid_and_the_same_for_every_host() -> None:
    async with served(hall=Thermostat(), it=Everything()) as host:
        described = (await host.ask("GET /openapi.json")).json
        OpenAPIV31SpecValidator(described).validate()
        assert described == (await host.ask("GET /openapi.json", "Host: localhost:9")).json
        assert "security" not in described
        named = {"Colour", "Flags", "Mode", "Point", "Reading", "Shape", "problem-details"}
        assert set(described["components"]["schemas"]) == named
        target = described["paths"]["/objects/hall/properties/target"]
        schema = target["put"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"type": "number", "minimum": 5.0, "maximum": 35.0, "format": "double", "x-unit": "Cel"}
        assert "put" not in described["paths"]["/objects/hall/properties/current"]
        boost = described["paths"]["/objects/hall/slots/boost"]["post"]
        assert boost["description"] == "Heat at full power."
        operations = [o["operationId"] for place in described["paths"].values() for o in place.values()]
        assert len(set(operations)) == len(operations)


async def test_every_value_and_answer_is_what_openapi_says() -> None:
    async with served(it=Everything()) as host:
        described = (await host.ask("GET /openapi.json")).json
        for place, operations in described["paths"].items():
            if "/properties/" in place:
                value = (await host.ask(f"GET {place}")).json
                check(described, value, operations["get"]["responses"]["200"])
                if "put" in operations:
                    answer = await host.ask(f"PUT {place}", body=value)
                    check(described, answer.json, operations["put"]["responses"]["200"])
        shape = {"points": [{"x": 1.0, "y": 2.0}], "colour": "GREEN"}
        draw = described["paths"]["/objects/it/slots/draw"]["post"]
        for arguments, right in (({"shape": shape}, True), ({"shape": shape, "times": 9}, False), ({}, False)):
            schema = draw["requestBody"]["content"]["application/json"]["schema"]
            assert matches(described, arguments, schema) is right
            answer = await host.call("it/slots/draw", arguments)
            assert (answer.status == 200) is right
            if right:
                check(described, answer.json, draw["responses"]["200"])
            else:
                problem = described["components"]["responses"]["Problem"]
                check(described, answer.json, problem, "application/problem+json")
        assert list(described["paths"]["/objects/it/slots/forget"]["post"]["responses"]) == ["204", "default"]


KEYWORDS = ("type", "minimum", "maximum", "enum", "items", "properties", "required", "oneOf", "minItems", "maxItems")


async def test_all_objects_of_the_plant_are_what_they_are_described_as() -> None:
    classes = [c for c in vars(plant).values() if isinstance(c, type) and issubclass(c, Object) and c is not Object]
    async with served(**{cls.__name__: cls() for cls in classes}) as host:
        described = (await host.ask("GET /openapi.json")).json
        OpenAPIV31SpecValidator(described).validate()
        for place, operations in described["paths"].items():
            if "/properties/" in place:
                read = await host.ask(f"GET {place}")
                check(described, read.json, operations["get"]["responses"]["200"])
                if "put" in operations:
                    wrote = await host.ask(f"PUT {place}", body=read.body)
                    assert (wrote.status, wrote.json) == (200, read.json)
        for cls in classes:
            thing = (await host.ask(f"GET /objects/{cls.__name__}/thing")).json
            jsonschema.Draft7Validator(TD_SCHEMA).validate(thing)
            values = (await host.ask(f"GET /objects/{cls.__name__}/properties")).json
            assert set(values) == set(thing["properties"])
            for name, value in values.items():
                schema = {word: told for word, told in thing["properties"][name].items() if word in KEYWORDS}
                jsonschema.Draft7Validator(schema).validate(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1 << 60])
async def test_also_rare_values_are_what_openapi_says(value: float) -> None:
    source = Everything()
    if isinstance(value, int):
        source.whole, place = value, "whole"
    else:
        source.real, place = value, "real"
    async with served(it=source) as host:
        described = (await host.ask("GET /openapi.json")).json
        got = (await host.ask(f"GET /objects/it/properties/{place}")).json
        assert isinstance(got, str)
        check(described, got, described["paths"][f"/objects/it/properties/{place}"]["get"]["responses"]["200"])


def check(described: Any, value: Any, answer: Any, media: str = "application/json") -> None:
    assert matches(described, value, answer["content"][media]["schema"]), (value, answer)


def matches(described: Any, value: Any, schema: Any) -> bool:
    whole = {**schema, "components": described["components"]}
    return bool(jsonschema.Draft202012Validator(whole).is_valid(value))


async def test_openapi_names_the_ways_to_log_in(certificates: Any, logins: Any) -> None:
    async with served(hall=Thermostat(), tokens=logins.tokens) as host:
        described = (await host.ask("GET /openapi.json", logins.bearer)).json
        OpenAPIV31SpecValidator(described).validate()
        assert described["security"] == [{"bearer": []}]
        assert described["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}


# ---------------------------------------------------------------------------------------------- Thing Descriptions
async def test_a_thing_description_is_valid_and_its_forms_work() -> None:
    async with served(it=Everything()) as host:
        answer = await host.ask("GET /.well-known/wot", f"Host: localhost:{host.port}")
        assert answer.headers["content-type"] == "application/td+json"
        thing = answer.json
        jsonschema.Draft7Validator(TD_SCHEMA).validate(thing)
        assert thing["base"] == f"http://localhost:{host.port}/"
        assert thing == (await host.ask("GET /objects/it/thing", f"Host: localhost:{host.port}")).json
        assert thing["properties"]["bounded"]["unit"] == "m"
        assert thing["events"]["drawn"]["description"] == "Something was drawn."
        for name, described in thing["properties"].items():
            place = where(thing, described["forms"][0])
            value = (await host.ask(f"GET {place}")).json
            schema = {key: item for key, item in described.items() if key not in ("forms", "unit")}
            if name != "large":  # a text beyond 2^53, which the one type of a Thing Description does not say
                jsonschema.Draft7Validator(schema).validate(value)
            assert described["readOnly"] is (name not in ("small", "large"))
            assert await listens(host, where(thing, described["forms"][1]))
        for described in thing["events"].values():
            assert await listens(host, where(thing, described["forms"][0]))
        values = await host.ask(f"GET {where(thing, thing['forms'][0])}")
        assert set(values.json) == set(thing["properties"])
        for link in thing["links"]:
            assert (await host.ask(f"GET {where(thing, link)}")).status == 200
        draw = thing["actions"]["draw"]
        body = {"shape": {"points": []}}
        jsonschema.Draft7Validator(draw["input"]).validate(body)
        made = (await host.ask(f"POST {where(thing, draw['forms'][0])}", body=body)).json
        jsonschema.Draft7Validator(draw["output"]).validate(made)


def where(thing: Any, form: Any) -> str:
    return urlsplit(urljoin(thing["base"], form["href"])).path


async def listens(host: Served, place: str) -> bool:
    async with host.connection() as raw:
        await raw.send(f"GET {place}", "Accept: text/event-stream")
        answer = await raw.head()
        return answer.headers["content-type"] == "text/event-stream"


async def test_a_host_of_several_objects_is_a_thing_that_links_to_them() -> None:
    async with served(hall=Thermostat(), **{"the cellar": Thermostat()}) as host:
        thing = (await host.ask("GET /.well-known/wot")).json
        jsonschema.Draft7Validator(TD_SCHEMA).validate(thing)
        items = [link for link in thing["links"] if link["rel"] == "item"]
        titles = [(await host.ask(f"GET {where(thing, link)}")).json["title"] for link in items]
        assert titles == ["hall", "the cellar"]
    async with served() as host:
        jsonschema.Draft7Validator(TD_SCHEMA).validate((await host.ask("GET /.well-known/wot")).json)


async def test_a_thing_says_how_to_log_in_and_where_the_client_found_it(logins: Any, certificates: Any) -> None:
    import ssl

    async with served(certificates.url, hall=Thermostat(), tokens=logins.tokens) as host:
        context = ssl.create_default_context(cafile=str(certificates.ca))
        answer = await host.ask("GET /objects/hall/thing", logins.bearer, "Host: localhost:1", context=context)
        thing = answer.json
        jsonschema.Draft7Validator(TD_SCHEMA).validate(thing)
        assert thing["base"] == "https://localhost:1/"
        assert thing["security"] == ["bearer"]
        assert thing["securityDefinitions"]["bearer"]["scheme"] == "bearer"


# --------------------------------------------------------------------------------------------------------------- page
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\'`${1}'


class Hostile(Object):
    __doc__ = f"Docs {EVIL}"

    text: Property[str] = prop(EVIL, unit=EVIL)

    @signal
    def told(self, text: str = EVIL) -> None: ...

    @slot
    async def say(self, text: str = EVIL) -> str:
        return text


Hostile.told.__doc__ = EVIL


class Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_lists_objects_with_links_that_lead_somewhere() -> None:
    async with served(hall=Thermostat()) as host:
        answer = await host.ask("GET /")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = Elements(answer.body.decode())
        for part in ("hall", "Keeps one room warm.", "21.0", "Cel", "Heat at full power.", "boost(minutes: u8 = 10)"):
            assert part in page.text
        links = [attributes["href"] for tag, attributes in page.found if tag in ("a", "link")]
        assert "/objects/hall/properties/target" in links
        for link in links:
            if link and not link.startswith("data:") and not link.endswith("/events") and "/signals/" not in link:
                assert (await host.ask(f"GET {link}")).status == 200
        script = await host.ask("GET /page.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert (await host.ask("GET /page.css")).headers["content-type"].startswith("text/css")


async def test_nothing_on_the_page_can_break_out_of_its_place() -> None:
    async with served(**{"a\"><script>'&lt;": Hostile()}) as host:
        answer = await host.ask("GET /")
        page = Elements(answer.body.decode())
        scripts = [attributes for tag, attributes in page.found if tag == "script"]
        assert scripts == [{"src": "/page.js", "defer": None}]
        assert not [tag for tag, _ in page.found if tag in ("img", "iframe", "object", "style")]
        assert not [name for _, attributes in page.found for name in attributes if name.startswith("on")]
        assert EVIL in page.text
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy


async def test_the_page_of_nothing_says_so() -> None:
    async with served() as host:
        assert b"No object is published here" in (await host.ask("GET /")).body
