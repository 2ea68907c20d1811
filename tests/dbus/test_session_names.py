"""Names on real buses: asked for, queued for, taken over, given back, lost with their owner, and followed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from everywire.dbus.session import BUS, Connection, NameReply
from everywire.errors import Code, Fault, LinkError
from tests.dbus import lab, tools
from tests.dbus.programs import SERVICE, peer

NAME = "org.acme.Climate"


class Owners:
    """The changes of a name's owner, as they come."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, old: str, new: str) -> None:
        self.seen.append((old, new))
        self._news.set()

    async def next(self) -> tuple[str, str]:
        while not self.seen:
            self._news.clear()
            await self._news.wait()
        return self.seen.pop(0)


@asynccontextmanager
async def connections(address: str, count: int) -> AsyncIterator[list[Connection]]:
    async with asyncio.TaskGroup() as group:
        opening = [group.create_task(Connection.open(address)) for _ in range(count)]
    opened = [task.result() for task in opening]
    try:
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def test_a_name_that_is_asked_for_is_ours_and_the_bus_says_so(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours:
        assert await ours.request_name(NAME) is NameReply.PRIMARY_OWNER
        assert await ours.request_name(NAME) is NameReply.ALREADY_OWNER
        assert await ours.owner(NAME) == ours.unique_name
        assert {NAME, ours.unique_name, BUS} <= set(await ours.names())
        listed = {entry["name"]: entry for entry in await tools.busctl(each_bus, "list")}
        assert (listed[NAME]["pid"], listed[NAME]["connection"]) == (os.getpid(), ours.unique_name)
        found = await ours.credentials(NAME)
        assert (found["UnixUserID"], found["ProcessID"]) == (os.getuid(), os.getpid())
        assert await ours.release_name(NAME)
        assert not await ours.release_name(NAME)
        assert await ours.owner(NAME) == ""


async def test_the_first_in_the_queue_gets_a_name_that_is_given_back(each_bus: str) -> None:
    async with connections(each_bus, 4) as (first, second, third, watching):
        owners = Owners()
        following = await watching.follow(NAME, owners)
        assert following.owner == ""
        assert await first.request_name(NAME) is NameReply.PRIMARY_OWNER
        assert await owners.next() == ("", first.unique_name)
        assert await second.request_name(NAME) is NameReply.EXISTS
        assert await second.request_name(NAME, queue=True) is NameReply.IN_QUEUE
        assert await third.request_name(NAME, queue=True) is NameReply.IN_QUEUE
        await first.release_name(NAME)
        assert await owners.next() == (first.unique_name, second.unique_name)
        await second.close()
        assert await owners.next() == (second.unique_name, third.unique_name)
        assert following.owner == third.unique_name
        await third.release_name(NAME)
        assert await owners.next() == (third.unique_name, "")


async def test_a_name_is_taken_over_only_from_who_allows_it(each_bus: str) -> None:
    async with connections(each_bus, 3) as (first, second, watching):
        owners = Owners()
        await watching.follow(NAME, owners)
        await first.request_name(NAME)
        assert await second.request_name(NAME, replace=True) is NameReply.EXISTS
        await first.request_name(NAME, allow_replacement=True, queue=True)
        assert await second.request_name(NAME, replace=True, allow_replacement=True) is NameReply.PRIMARY_OWNER
        assert [await owners.next() for _ in range(2)] == [
            ("", first.unique_name), (first.unique_name, second.unique_name),
        ]  # fmt: skip
        await second.close()  # the replaced owner waits in the queue, because it asked so
        assert await owners.next() == (second.unique_name, first.unique_name)


async def test_who_is_replaced_without_queueing_has_lost_the_name(each_bus: str) -> None:
    async with connections(each_bus, 2) as (first, second):
        owners = Owners()
        await first.follow(NAME, owners)
        await first.request_name(NAME, allow_replacement=True)
        assert await second.request_name(NAME, replace=True) is NameReply.PRIMARY_OWNER
        assert [await owners.next() for _ in range(2)][-1] == (first.unique_name, second.unique_name)
        await second.release_name(NAME)
        assert await owners.next() == (second.unique_name, "")
        assert not await first.release_name(NAME)


async def test_a_program_that_is_killed_loses_its_name(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours, peer("jeepney", "serve", each_bus) as serving:
        owners = Owners()
        following = await ours.follow(SERVICE, owners)
        owner = following.owner
        assert (await ours.credentials(owner))["ProcessID"] == serving.program.pid
        await serving.program.kill()
        assert await owners.next() == (owner, "")
        with pytest.raises(Fault) as failed:
            await ours.credentials(owner)
        assert failed.value.code is Code.UNAVAILABLE


async def test_a_name_that_is_no_name_is_refused_by_name(each_bus: str) -> None:
    async with await Connection.open(each_bus) as ours:
        for name in ("plant", ":1.5", BUS, "org.acme..Climate"):
            with pytest.raises(Fault) as failed:
                await ours.request_name(name)
            assert failed.value.code is Code.INVALID_ARGUMENT


async def test_a_policy_decides_who_may_own_a_name(system_bus: lab.Bus) -> None:
    policy = f'<policy user="root"><deny own="{NAME}"/></policy>'
    async with await Connection.open(system_bus.address) as ours:
        await asyncio.to_thread(system_bus.rule, "climate", policy)
        with pytest.raises(Fault) as failed:
            await ours.request_name(NAME)
        assert failed.value.code is Code.PERMISSION_DENIED


async def test_names_that_the_bus_can_start_are_listed_and_started(own_bus: lab.Bus) -> None:
    name = "org.acme.Echo"
    await asyncio.to_thread(own_bus.offer, name, lab.needs("dbus-test-tool", "dbus-tests"), "echo", f"--name={name}")
    async with await Connection.open(own_bus.address) as ours:
        assert name in await ours.names(activatable=True)
        assert await ours.owner(name) == ""
        assert await ours.call(name, "/", "org.acme.Echo", "Anything") == ()
        assert await ours.owner(name) != ""


async def test_a_service_that_cannot_be_started_is_unavailable(own_bus: lab.Bus) -> None:
    await asyncio.to_thread(own_bus.offer, NAME, "/bin/false")
    async with await Connection.open(own_bus.address) as ours:
        with pytest.raises(Fault, match="exit") as failed:
            await ours.call(NAME, "/", NAME, "Anything")
        assert failed.value.code is Code.UNAVAILABLE


async def test_a_connection_to_nobody_says_who_does_not_answer(own_bus: lab.Bus) -> None:
    own_bus.kill()
    with pytest.raises(LinkError, match="bus"):
        await Connection.open(own_bus.address)
    await own_bus.resurrect()
    async with await Connection.open(own_bus.address) as ours:
        assert ours.unique_name.startswith(":")
