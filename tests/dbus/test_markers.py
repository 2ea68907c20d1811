"""Types that D-Bus has and Python has not: object paths, signatures and file descriptors, here and on other wires."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from everywire import (
    LocalProtocolError,
    ModelError,
    Node,
    Object,
    Property,
    prop,
    signal,
    slot,
)
from everywire.codec.json import lifted as json_lifted
from everywire.codec.json import lowered as json_lowered
from everywire.dbus.codec import Variant
from everywire.dbus.wire.types import (
    PATH,
    ObjectPath,
    Signature,
    carries_descriptors,
    compile_lift,
    compile_lift_fds,
    compile_lower,
    compile_lower_fds,
    signature_of,
)
from everywire.model import contract_of
from everywire.model.annotations import type_of
from everywire.model.building import build_class
from everywire.model.description import describe, read_description
from everywire.model.types import DESCRIPTOR, STR, python_type
from everywire.transport.descriptors import UnixFd
from tests.dbus.bodies import arrivals


# ---------------------------------------------------------------------------------------------------- paths, signatures
class Device(Object):
    path: Property[ObjectPath] = prop("/org/acme/hall", writable=True)
    kept: Property[Signature] = prop("a{sv}")
    below: Property[list[ObjectPath]] = prop(factory=list)

    @signal
    def moved(self, to: ObjectPath) -> None: ...

    @slot
    async def parent(self, of: ObjectPath = "/a") -> ObjectPath | None:
        return of.rpartition("/")[0] or None


def test_paths_and_signatures_are_checked_where_they_are_set() -> None:
    device = Device()
    for path in ("", "a", "/a/", "/a b", "//"):
        with pytest.raises(ModelError, match=r"path: '.*' is no object path: one looks like /org/acme/Plant"):
            device.path = path
    with pytest.raises(ModelError, match="is no signature"):
        device.kept = "a"
    with pytest.raises(ModelError, match="at 1: 'b' is no object path"):
        device.below = ["/a", "b"]
    device.path, device.kept, device.below = "/", "", ["/b"]
    assert (device.path, device.kept, device.below) == ("/", "", ["/b"])
    with pytest.raises(ModelError, match="no object path"):
        device.moved.emit("a")
    with pytest.raises(ModelError, match="its initial value does not fit: 'x' is no object path"):

        class Wrong(Object):
            path: Property[ObjectPath] = prop("x")

        contract_of(Wrong)


def test_other_wires_carry_paths_and_signatures_as_plain_texts() -> None:
    contract = contract_of(Device)
    read = read_description(describe(contract))
    assert [m.type for m in contract.members.values() if m.parameters] == [
        m.type for m in read.members.values() if m.parameters
    ]
    node = contract.members["path"].type
    assert node == STR
    assert python_type(node) is str
    assert python_type(type_of(dict[ObjectPath, int])) == dict[str, int]
    assert json_lifted(node, json_lowered(node, "/a")) == "/a"
    with pytest.raises(ModelError, match="no object path"):
        json_lifted(node, "a")
    keyed = type_of(dict[ObjectPath, ObjectPath])
    assert json_lifted(keyed, json_lowered(keyed, {"/a": "/b"})) == {"/a": "/b"}
    assert PATH.zero == "/"


def test_replicas_without_a_class_have_paths_to_begin_with() -> None:
    assert build_class(contract_of(Device))().path == "/"


# ---------------------------------------------------------------------------------------------------------- descriptors
class Files(Object):
    @slot
    async def open(self, name: str) -> UnixFd:
        raise NotImplementedError

    @slot
    async def keep(self, files: dict[str, UnixFd]) -> None:
        raise NotImplementedError


@pytest.fixture
def ends() -> Iterator[tuple[UnixFd, UnixFd]]:
    reader, writer = map(UnixFd.owning, os.pipe())
    with reader, writer:
        yield reader, writer


def is_open(number: int) -> bool:
    return Path(f"/proc/self/fd/{number}").exists()


def test_descriptors_travel_beside_the_body(ends: tuple[UnixFd, UnixFd]) -> None:
    reader, writer = ends
    node = type_of(dict[str, list[UnixFd | None]])
    assert carries_descriptors(node)
    assert signature_of(node) == "a{saah}"
    fds: list[UnixFd] = []
    raw = compile_lower_fds(node)({"reading": [reader], "writing": [writer, None]}, fds)
    assert raw == {"reading": [[0]], "writing": [[1], []]}
    writer.close()
    os.write(fds[1].fileno(), b"warm")  # the message owns duplicates
    for arrived in arrivals("a{saah}", raw):
        found = node.convert(compile_lift_fds(node)(arrived, tuple(fds)))
        assert found == {"reading": [fds[0]], "writing": [fds[1], None]}
    assert os.read(reader.fileno(), 9) == b"warm"
    numbers = [fd.fileno() for fd in fds]
    fds.clear()
    del found
    assert not any(map(is_open, numbers)), "what nobody keeps is closed"
    assert is_open(reader.fileno())


def test_a_coder_with_descriptors_takes_those_of_each_message(ends: tuple[UnixFd, UnixFd]) -> None:
    lower, lift = compile_lower_fds(DESCRIPTOR), compile_lift_fds(DESCRIPTOR, "v")
    one: list[UnixFd] = []
    other: list[UnixFd] = [ends[0]]
    assert (lower(ends[0], one), lower(ends[1], other)) == (0, 1)
    assert lift(Variant("h", 0), one) is one[0]
    assert lift(Variant("h", 1), other) is other[1]
    assert os.fstat(one[0].fileno()).st_ino == os.fstat(ends[0].fileno()).st_ino


def test_descriptors_that_are_not_there_are_refused() -> None:
    lower, lift = compile_lower_fds(type_of(list[UnixFd])), compile_lift_fds(type_of(list[UnixFd]))
    with pytest.raises(ModelError, match="at 0: file descriptor 3 of a message that carries 0"):
        lift([3], ())
    with pytest.raises(ModelError, match="at 0: there is no file descriptor to send"):
        lower([None], [])
    closed = UnixFd(0)
    closed.close()
    with pytest.raises(ModelError, match="taken or closed already"):
        lower([closed], [])
    with pytest.raises(ModelError, match="expected UnixFd, got int"):
        DESCRIPTOR.convert(5)
    with pytest.raises(ModelError, match="expected UnixFd, got"):
        DESCRIPTOR.convert(Path())
    for compiled in (compile_lower, compile_lift):
        with pytest.raises(ModelError, match=r"list\[UnixFd\] holds file descriptors"):
            compiled(type_of(list[UnixFd]))
        with pytest.raises(ModelError, match="does not fit the D-Bus type 'h'"):
            compiled(STR, "h")
    with pytest.raises(ModelError, match="does not fit the D-Bus type 'u'"):
        compile_lower_fds(DESCRIPTOR, "u")


def test_a_copied_descriptor_is_a_descriptor_of_its_own(ends: tuple[UnixFd, UnixFd]) -> None:
    for made in (copy.copy(ends[0]), copy.deepcopy({"a": ends[0]})["a"], ends[0].duplicate()):
        assert made.fileno() != ends[0].fileno()
        number = made.take()
        with pytest.raises(LocalProtocolError, match="taken or closed"):
            made.fileno()
        assert is_open(number)
        os.close(number)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ends[0])


def test_the_contract_of_descriptors_arrives_as_it_was() -> None:
    read, files = read_description(describe(contract_of(Files))), contract_of(Files)
    assert read.members["open"].result == files.members["open"].result == DESCRIPTOR
    assert read.members["keep"].parameters == files.members["keep"].parameters


@pytest.mark.parametrize("url", ["local:{}/a", "http+local:{}/b"])
async def test_wires_that_cannot_pass_descriptors_refuse_the_member_by_name(url: str, tmp_path: Path) -> None:
    wire = "HTTP" if "http" in url else "Qt Remote Objects"
    async with Node() as node:
        node.publish(Files(), "files")
        with pytest.raises(ModelError, match=f"Files.open: {wire} cannot carry UnixFd; serve the object on a wire"):
            await node.serve(url.format(tmp_path))
    async with Node() as node:
        await node.serve(url.format(tmp_path))
        with pytest.raises(ModelError, match=r"Files\.open: "):
            node.publish(Files(), "files")
        assert node.published == {}
