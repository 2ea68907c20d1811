"""Services that every desktop has, played by python-dbusmock on a bus like the system's, as replicas."""

from __future__ import annotations

import asyncio
import os

import pytest

from everywire import Object, Property, connect, contract_of, link_of, prop, signal, slot, u8, u32
from everywire.dbus import ObjectPath, UnixFd, collection, interface
from everywire.dbus.session import Connection, Variant
from tests.conformance.plant import Heard
from tests.dbus import lab, tools
from tests.dbus.tools import MOCK, MOCKED, mocked

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@interface("org.freedesktop.UPower")
class Power(Object):
    on_battery: Property[bool] = prop(False)
    daemon_version: Property[str] = prop("")

    @slot
    async def enumerate_devices(self) -> list[ObjectPath]: ...  # type: ignore[empty-body]

    @signal
    def device_added(self, device: ObjectPath) -> None: ...


@interface("org.freedesktop.UPower.Device")
class Battery(Object):
    percentage: Property[float] = prop(0.0)
    state: Property[u32] = prop(0)
    model: Property[str] = prop("")


async def test_a_battery_of_upower_is_followed(system_bus: lab.Bus) -> None:
    name, path = MOCKED["upower"]
    url = f"dbus:{system_bus.address}?service={name}"
    async with (
        mocked(system_bus.address, "upower"),
        await Connection.open(system_bus.address) as mock,
        connect(url, ".", Power) as power,
    ):
        assert (power.on_battery, power.daemon_version) == (False, "0.99")
        assert await power.enumerate_devices() == []
        added = Heard()
        power.device_added.connect(added)
        arguments = ("mock_BAT", "Battery", 30.0, 1200)
        (where,) = await mock.call(name, path, MOCK, "AddChargingBattery", "ssdx", *arguments)
        assert await added.count(1) == [where] == await power.enumerate_devices()
        async with connect(url, where, Battery) as battery:
            assert battery.percentage == 30.0
            change = {"Percentage": Variant("d", 80.0)}
            await mock.call(name, path, MOCK, "SetDeviceProperties", "oa{sv}", where, change)
            assert await Battery.percentage.wait_for(battery, lambda value: value == 80.0) == 80.0
        async with connect(url, "devices/mock_BAT") as anything:
            assert (anything.percentage, anything.model) == (80.0, "Battery")


@interface("org.freedesktop.NetworkManager.AccessPoint")
class AccessPoint(Object):
    ssid: Property[bytes] = prop(b"")
    strength: Property[u8] = prop(0)


async def test_access_points_of_networkmanager_are_a_collection(system_bus: lab.Bus) -> None:
    name, path = MOCKED["networkmanager"]
    url = f"dbus:{system_bus.address}?service={name}&path=/org/freedesktop"
    async with mocked(system_bus.address, "networkmanager"), await Connection.open(system_bus.address) as mock:
        (device,) = await mock.call(name, path, MOCK, "AddWiFiDevice", "ssu", "mock_WiFi", "wlan0", 100)

        async def add(ssid: str, strength: int) -> str:
            arguments = (ssid, ssid, f"00:23:F8:7E:12:{strength:X}", 2, 2425, 5400, strength, 0x400)
            (point,) = await mock.call(name, path, MOCK, "AddAccessPoint", "ssssuuuyu", device, *arguments)
            return str(point)

        first = await add("plant", 82)
        async with collection(url, AccessPoint) as points:
            assert {path: (point.ssid, point.strength) for path, point in points.items()} == {first: (b"plant", 82)}
            added, removed = Heard(), Heard()
            points.added.connect(lambda path, point: added((path, point.ssid)))
            points.removed.connect(lambda path, point: removed(path))
            second = await add("yard", 40)
            assert await added.count(1) == [(second, b"yard")]
            await mock.call(name, path, MOCK, "RemoveAccessPoint", "oo", device, first)
            assert await removed.count(1) == [first]
        async with collection(url) as everything:
            assert {path, device, second} <= set(everything)
            assert everything[device].interface == "wlan0"


async def test_logind_gives_a_lock_that_is_held_as_long_as_its_descriptor(system_bus: lab.Bus) -> None:
    @interface("org.freedesktop.login1.Manager")
    class Manager(Object):
        @slot
        async def inhibit(self, what: str, who: str, why: str, mode: str) -> UnixFd: ...  # type: ignore[empty-body]

        @slot
        async def list_inhibitors(self) -> list[tuple[str, str, str, str, int, int]]: ...  # type: ignore[empty-body]

        @signal
        def prepare_for_shutdown(self, start: bool) -> None: ...

    name, _ = MOCKED["logind"]
    url = f"dbus:{system_bus.address}?service={name}"
    async with mocked(system_bus.address, "logind"), connect(url, ".", Manager) as manager:
        with await manager.inhibit("shutdown", "plant", "valves are open", "delay") as lock:
            os.fstat(lock.fileno())
            ((what, who, why, mode, _, _),) = await manager.list_inhibitors()
            assert (what, who, why, mode) == ("shutdown", "plant", "valves are open", "delay")
        while await manager.list_inhibitors():
            await asyncio.sleep(0)


async def test_every_mock_is_a_replica_without_a_class(system_bus: lab.Bus) -> None:
    for template, (name, _) in MOCKED.items():
        url = f"dbus:{system_bus.address}?service={name}"
        async with mocked(system_bus.address, template), connect(url, ".") as replica:
            assert contract_of(replica).members
            assert link_of(replica).error is None


async def test_a_peer_that_swallows_all_calls_is_given_up(bus: str) -> None:
    """dbus-test-tool black-hole answers nothing at all."""
    from everywire import Limits, LinkError

    async with tools.lines("dbus-test-tool", "black-hole", "--session", "--name=org.acme.Hole", address=bus):
        await tools.owned(bus, "org.acme.Hole")
        with pytest.raises(LinkError, match=r"did not answer Introspect within 0.3 s"):
            async with connect(
                f"dbus:{bus}?service=org.acme.Hole", ".", timeout=0, limits=Limits(handshake=0.3, drain=0.0)
            ):
                pass
