"""The readers that are fuzzed. Each is a function that may only return or raise; what it may raise, it catches itself.

Nothing of ours is imported before a target is prepared: its code is to be instrumented by then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fuzz import seeds

Run = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """One reader: *prepare* imports and returns it, *seeds* returns what is known to lead into it."""

    prepare: Callable[[], Run]
    seeds: Callable[[], Sequence[bytes]]
    order: str = ""
    """The byte order of the frames of its input, if it takes frames."""


# ------------------------------------------------------------------------------------------------------------ engines
def _engine(*, host: bool, version: str) -> Callable[[], Run]:
    def prepare() -> Run:
        from everywire.remoteobjects.codec import QTRO_1_3, QTRO_2_0
        from everywire.remoteobjects.engine import Engine

        dialect = {"2.0": QTRO_2_0, "1.3": QTRO_1_3}[version]

        def run(data: bytes) -> None:
            engine = Engine(host=True, dialect=dialect) if host else Engine(host=False)
            engine.data_to_send()
            _check_events(engine, data)

        return run

    return prepare


def _check_events(engine: Any, data: bytes) -> list[Any]:
    """Receive *data* whole; the events are a list of which only the last may be Broken, after which nothing comes."""
    from everywire.remoteobjects.engine import Broken

    events = engine.receive_data(data)
    broken = [event for event in events if type(event) is Broken]
    assert broken in ([], events[-1:]), events
    end = engine.receive_eof()
    assert len(broken) + len(end) <= 1
    assert not (broken or end) or engine.receive_data(data) == []
    return [*events, *end]


def _rig(name: str) -> Callable[[], Run]:
    """One of the engines under the laws, with an object or a replica behind it."""

    def prepare() -> Run:
        from tests.laws.engines import SUBJECTS

        (subject,) = (subject for subject in SUBJECTS if subject.name == name)

        def run(data: bytes) -> None:
            rig = subject.make()
            for event in _check_events(rig.engine, data):
                rig.show(event)

        return run

    return prepare


# ------------------------------------------------------------------------------------------------------------- codecs
def _packets(*, from_host: bool) -> Callable[[], Run]:
    def prepare() -> Run:
        from everywire.errors import RemoteProtocolError
        from everywire.remoteobjects.codec import QTRO_1_3, QTRO_2_0, Invoke, decode_packet
        from everywire.remoteobjects.codec.extension import read_request, read_told
        from everywire.remoteobjects.codec.faults import read_fault_reply

        def run(data: bytes) -> None:
            dialect = QTRO_1_3 if data[:1] == b"1" else QTRO_2_0
            read_fault_reply(data[1:], dialect)
            with contextlib.suppress(RemoteProtocolError):
                packet = decode_packet(data[1:], from_host=from_host, dialect=dialect)
                if isinstance(packet, Invoke):
                    (read_told if from_host else read_request)(packet)

        return run

    return prepare


def _definitions() -> Run:
    from everywire.errors import RemoteProtocolError
    from everywire.model.building import build_class
    from everywire.remoteobjects.codec.definition import decode_definition
    from everywire.remoteobjects.wire.layout import loosened, read_definition_of

    def run(data: bytes) -> None:
        try:
            definition = decode_definition(data)
            definition.user_types()
        except RemoteProtocolError:
            return
        contract, layout = read_definition_of(definition, "thing")
        build_class(loosened(contract, layout, ()))

    return run


def _variants() -> Run:
    from everywire.codec.qdatastream import Reader
    from everywire.errors import RemoteProtocolError

    def run(data: bytes) -> None:
        order = ">" if data[:1] > b"\x7f" else "<"
        reader = Reader(data[1:], order=order, version=17 + (data[0] if data else 0) % 8)
        with contextlib.suppress(RemoteProtocolError):
            while reader.remaining:
                reader.read_variant()

    return run


def _type_names() -> Run:
    from everywire.codec.qdatastream import Reader
    from everywire.codec.qdatastream.names import parse_type_name
    from everywire.errors import RemoteProtocolError

    def run(data: bytes) -> None:
        name, _, value = data.partition(b"\0")
        text = name.decode("utf-8", "replace")
        parse_type_name(text)
        with contextlib.suppress(RemoteProtocolError):
            Reader(value).read_named(text)

    return run


def _registries() -> Run:
    from everywire.codec.qdatastream import Reader
    from everywire.errors import RemoteProtocolError
    from everywire.remoteobjects.codec.registry import read_location, read_table

    def run(data: bytes) -> None:
        with contextlib.suppress(RemoteProtocolError):
            value = Reader(data).read_variant()
            read_table(value)
            read_location(value)

    return run


def _tables() -> Run:
    from everywire.codec.qdatastream import Reader
    from everywire.errors import EverywireError
    from everywire.remoteobjects.codec import QTRO_1_3, QTRO_2_0, decode_packet
    from everywire.remoteobjects.codec.tables import TABLE_TYPES
    from everywire.remoteobjects.wire.tablereading import cell_in, headers_in, path_in, rows_in, size_in

    def run(data: bytes) -> None:
        dialect = QTRO_1_3 if data[:1] == b"1" else QTRO_2_0
        for from_host in (False, True):
            with contextlib.suppress(EverywireError):
                decode_packet(data[1:], from_host=from_host, types=TABLE_TYPES, dialect=dialect)
        with contextlib.suppress(EverywireError):
            reader = Reader(data[1:], order=dialect.order, version=dialect.version, types=TABLE_TYPES)
            value = reader.read_variant()
            for read in (cell_in, headers_in, path_in, size_in, lambda raw: rows_in(raw, (), 0)):
                with contextlib.suppress(EverywireError):
                    read(value)

    return run


# ------------------------------------------------------------------------------------------------------------- texts
def _rep_files() -> Run:
    from everywire.remoteobjects.rep.faults import RepError
    from everywire.remoteobjects.rep.parsing import parse

    def run(data: bytes) -> None:
        with contextlib.suppress(RepError):
            parse(data.decode("utf-8", "replace"))

    return run


def _descriptions() -> Run:
    from everywire.errors import EverywireError
    from everywire.model.description import read_description

    def run(data: bytes) -> None:
        with contextlib.suppress(EverywireError):
            read_description(data)

    return run


def _logins() -> Run:
    from everywire.errors import EverywireError
    from everywire.runtime.scram import LEAST_COST, Client, Server, make_verifier

    verifier = make_verifier("secret", b"s" * 16, LEAST_COST)

    def run(data: bytes) -> None:
        first, _, rest = data.partition(b"\n")
        server, client = Server("n" * 24), Client("panel", "secret", "c" * 24)
        for act in (
            lambda: Server.name_in(first),
            lambda: server.first(first, verifier),
            lambda: server.final(rest),
            client.first,
            lambda: client.check(rest),
        ):
            with contextlib.suppress(EverywireError):
                act()

    return run


def _addresses() -> Run:
    from everywire.errors import EverywireError
    from everywire.runtime.wires import wire_of

    def run(data: bytes) -> None:
        with contextlib.suppress(EverywireError):
            wire_of(data.decode("utf-8", "replace"))

    return run


# ------------------------------------------------------------------------------------------------------------- seeds
def _both_bodies(sender: str) -> Callable[[], list[bytes]]:
    return lambda: [
        mark + body for mark, version in ((b"2", "2.0"), (b"1", "1.3")) for body in seeds.bodies(sender, version)
    ]


def _known_tables() -> list[bytes]:
    """Frames of models, whole and what stands in their replies."""
    found = _both_bodies("host")() + _both_bodies("node")()
    behind_name = 1 + 2 + 4 + 2 * len("table") + 4
    return [body for body in found if b"t\0a\0b\0l\0e" in body or b"ndex" in body] + [
        body[:1] + body[behind_name:] for body in found if b"Entries" in body or b"QSize" in body
    ]


def _known_definitions() -> list[bytes]:
    from everywire.remoteobjects.codec import InitDynamic, UnknownUserType, decode_packet, encode_definition

    found: list[bytes] = []
    for body in seeds.bodies("host", "2.0"):
        with contextlib.suppress(UnknownUserType):
            packet = decode_packet(body, from_host=True)
            if isinstance(packet, InitDynamic):
                found.append(encode_definition(packet.definition))
    return found


def _known_values() -> list[bytes]:
    """Values of every type, as variants; the first byte says in which order and version of QDataStream."""
    from everywire.codec.qdatastream import Writer
    from tests.interop.samples import Everything

    everything, found = Everything(), list[bytes]()
    for name in type(everything).__everywire_declared__:
        for first, order, version in ((b"\x03", "<", 20), (b"\x80", ">", 17)):
            writer = Writer(order=order, version=version)
            with contextlib.suppress(Exception):  # what is no value of QDataStream, such as a slot
                writer.write_variant(getattr(everything, name))
                found.append(first + writer.to_bytes())
    return found


def _known_contracts() -> list[bytes]:
    from everywire import contract_of
    from everywire.model.description import describe
    from tests.interop.samples import Boiler, Everything

    return [describe(contract_of(cls)) for cls in (Boiler, Everything)]


def _known_addresses() -> list[bytes]:
    texts = (
        "local:climate", "tcp://127.0.0.1:65213", "tls://[::1]:1?cert=x&ca=y", "dbus:session?service=org.a.B",
        "local:climate?protocol=1.3", "registry+tcp://h:1", "qtro+wss://h:1/p", "localabstract:x", "http://h:1",
    )  # fmt: skip
    return [text.encode() for text in texts]


TARGETS: Final[dict[str, Target]] = {
    "host": Target(_engine(host=True, version="2.0"), lambda: seeds.streams("node", "2.0"), "<"),
    "node": Target(_engine(host=False, version="2.0"), lambda: seeds.streams("host", "2.0"), "<"),
    "host13": Target(_engine(host=True, version="1.3"), lambda: seeds.streams("node", "1.3"), ">"),
    "node13": Target(_engine(host=False, version="1.3"), lambda: seeds.streams("host", "1.3"), ">"),
    "object": Target(_rig("qtro_host_of_an_object"), lambda: seeds.streams("node", "2.0"), "<"),
    "replica": Target(_rig("qtro_node_with_a_replica"), lambda: seeds.streams("host", "2.0"), "<"),
    "calls": Target(_packets(from_host=False), _both_bodies("node")),
    "news": Target(_packets(from_host=True), _both_bodies("host")),
    "definitions": Target(_definitions, _known_definitions),
    "variants": Target(_variants, _known_values),
    "typenames": Target(_type_names, lambda: [b"QMap<QString,QList<int> >\0abc", b"QHash<int,QVariant>\0\0\0\0\0"]),
    "tables": Target(_tables, _known_tables),
    "registries": Target(_registries, _known_values),
    "rep": Target(_rep_files, seeds.rep_files),
    "descriptions": Target(_descriptions, _known_contracts),
    "logins": Target(_logins, lambda: [b"n,,n=panel,r=" + b"c" * 24 + b"\nc=biws,r=" + b"c" * 24 + b",p=eA=="]),
    "addresses": Target(_addresses, _known_addresses),
}
"""Name -> reader. One line each."""
