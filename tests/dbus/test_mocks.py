"""Services that every desktop has, played by python-dbusmock on a bus like the system's, through plain connections."""

from __future__ import annotations

import pytest

from everywire.dbus.session import Connection, Match, Variant
from tests.dbus import lab, tools
from tests.dbus.tools import MOCK, MOCKED, mocked

pytestmark = pytest.mark.interop

PROPERTIES = "org.freedesktop.DBus.Properties"


@pytest.mark.parametrize("template", MOCKED)
async def test_a_mock_is_introspected_and_read(template: str, system_bus: lab.Bus) -> None:
    name, path = MOCKED[template]
    async with mocked(system_bus.address, template), await Connection.open(system_bus.address) as ours:
        (text,) = await ours.call(name, path, "org.freedesktop.DBus.Introspectable", "Introspect")
        assert "<interface name=" in text
        (values,) = await ours.call(name, path, PROPERTIES, "GetAll", "s", "")
        told = await tools.busctl_call(system_bus.address, name, path, PROPERTIES, "GetAll", "s", "")
        assert {key: (value.signature, value.value) for key, value in values.items() if value.signature in "bsu"} == {
            key: (value["type"], value["data"]) for key, value in told[0].items() if value["type"] in "bsu"
        }


async def test_upower_tells_the_state_of_its_battery(system_bus: lab.Bus) -> None:
    name, path = MOCKED["upower"]
    async with mocked(system_bus.address, "upower"), await Connection.open(system_bus.address) as ours:
        (battery,) = await ours.call(name, path, MOCK, "AddChargingBattery", "ssdx", "mock_BAT", "Battery", 30.0, 1200)
        changes = await ours.messages(Match(sender=name, path=battery, member="PropertiesChanged"))
        (devices,) = await ours.call(name, path, name, "EnumerateDevices")
        assert devices == [battery]
        await ours.call(name, path, MOCK, "SetDeviceProperties", "oa{sv}", battery, {"Percentage": Variant("d", 80.0)})
        interface, changed, invalidated = (await anext(changes)).body
        assert (interface, changed["Percentage"].value, invalidated) == ("org.freedesktop.UPower.Device", 80.0, [])


async def test_networkmanager_has_devices_with_access_points(system_bus: lab.Bus) -> None:
    name, path = MOCKED["networkmanager"]
    async with mocked(system_bus.address, "networkmanager"), await Connection.open(system_bus.address) as ours:
        added = await ours.messages(Match(sender=name, member="DeviceAdded"))
        (device,) = await ours.call(name, path, MOCK, "AddWiFiDevice", "ssu", "mock_WiFi", "wlan0", 100)
        assert (await anext(added)).body == (device,)
        arguments = ("AP", "plant", "00:23:F8:7E:12:BB", 2, 2425, 5400, 82, 0x400)
        (point,) = await ours.call(name, path, MOCK, "AddAccessPoint", "ssssuuuyu", device, *arguments)
        (ssid,) = await ours.call(name, point, PROPERTIES, "Get", "ss", f"{name}.AccessPoint", "Ssid")
        assert (ssid.signature, ssid.value) == ("ay", b"plant")


async def test_logind_says_what_the_machine_can(system_bus: lab.Bus) -> None:
    name, path = MOCKED["logind"]
    async with mocked(system_bus.address, "logind"), await Connection.open(system_bus.address) as ours:
        assert await ours.call(name, path, f"{name}.Manager", "CanSuspend") == ("yes",)
        assert (await ours.call(name, path, MOCK, "AddSession", "ssusb", "c1", "seat0", 500, "joe", True)) != ()
        (sessions,) = await ours.call(name, path, f"{name}.Manager", "ListSessions")
        assert sessions == [["c1", 500, "joe", "seat0", f"{path}/session/c1"]]
