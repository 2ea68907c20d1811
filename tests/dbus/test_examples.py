"""The examples on D-Bus run as they are, on private buses, beside the programs that they are for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from everywire.dbus.session import Connection, Variant
from tests.dbus import lab, tools
from tests.dbus.tools import MOCK, MOCKED, mocked

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = {"PYTHONUNBUFFERED": "1"}
LAMP = ("org.acme.Lights", "/org/acme/Lights/hall")

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


async def test_the_service_answers_other_programs_until_ctrl_c(bus: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / "dbus_service.py"],
        env=lab.environment(bus), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == "hall is served at dbus:session?service=org.acme.Lights\n"
            lamp = (bus, *LAMP)
            with pytest.raises(tools.ToolError, match="the lamp is off") as refused:
                await tools.gdbus_call(*lamp, "org.acme.Lights.Lamp1.Flash", "5")
            assert refused.value.name == "org.everywire.Error.FailedPrecondition"
            await tools.busctl(bus, "set-property", *LAMP, "org.acme.Lights.Lamp1", "Brightness", "d", "0.5")
            await tools.busctl(bus, "set-property", *LAMP, "org.acme.Lights.Lamp1", "Color", "(yyy)", "1", "2", "3")
            assert await tools.gdbus_call(*lamp, "org.acme.Lights.Lamp1.Flash") == (3, "as wanted")
            color = await tools.busctl(bus, "get-property", *LAMP, "org.acme.Lights.Lamp1", "Color")
            assert color == {"type": "(yyy)", "data": [1, 2, 3]}
        finally:
            service.send_signal(signal.SIGINT)
        assert service.wait(15) == 0
        assert service.stderr is not None
        assert service.stderr.read() == ""


async def test_the_client_of_upower_hears_that_the_battery_is_charged(system_bus: lab.Bus) -> None:
    name, path = MOCKED["upower"]
    async with mocked(system_bus.address, "upower"), await Connection.open(system_bus.address) as mock:
        arguments = ("BAT0", "Battery", 30.0, 1200)
        (where,) = await mock.call(name, path, MOCK, "AddChargingBattery", "ssdx", *arguments)
        url = f"dbus:{system_bus.address}?service={name}"
        command = (sys.executable, "-W", "error", str(EXAMPLES / "dbus_battery.py"), url)
        async with tools.lines(*command, extra=NOW) as client:
            assert await client.line() == f"on battery: False devices: {where}"
            assert await client.line() == "Battery has 30.0 %"
            charged = {"Percentage": Variant("d", 80.0)}
            await mock.call(name, path, MOCK, "SetDeviceProperties", "oa{sv}", where, charged)
            assert await client.line() == "and now 80.0 %"


async def test_a_qt_program_uses_the_object_without_a_bus() -> None:
    done = await tools.run(sys.executable, "-W", "error", str(EXAMPLES / "dbus_peers_with_qt.py"))
    assert (done.code, done.out) == (0, "Qt reads 22.5 and is answered [300]\nthe room has 22.5\n"), done.err
