"""Programs that others wrote, as clients: curl, Python's own, and aiohttp."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.http.conftest import Certificates, Logins
from tests.http.peers import Thermostat, served, until

pytestmark = pytest.mark.interop


async def curl(*arguments: str) -> tuple[int, str]:
    """Run curl; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_curl_reads_writes_and_calls() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        place = f"{host.url}/objects/hall"
        assert await curl(f"{place}/properties/target") == (0, "21.0")
        assert await curl("-X", "PUT", "--json", "22.5", f"{place}/properties/target") == (0, "22.5")
        assert await curl("--json", '{"minutes": 2}', f"{place}/slots/boost") == (0, "120")
        assert await curl("--json", "", f"{place}/slots/boost") == (0, "600")
        assert await curl("-f", "-d", "minutes=2", f"{place}/slots/boost") == (22, "")
        _, shown = await curl("-i", "-0", f"{place}/properties/target")
        assert shown.startswith("HTTP/1.1 200 OK")
        assert "connection: close" in shown
        _, shown = await curl("-i", "-I", f"{place}/properties/target")
        assert shown.startswith("HTTP/1.1 200 OK")
        assert await curl("--http2", f"{place}/properties/target") == (0, "22.5")
        code, _ = await curl("--http2-prior-knowledge", f"{place}/properties/target")
        assert code != 0
        assert (await curl(f"{place}/properties/target"))[0] == 0


async def test_curl_over_a_unix_socket(folder: Path) -> None:
    async with served(f"http+local:{folder}/x", hall=Thermostat()):
        place = "http://plant/objects/hall"
        assert await curl("--unix-socket", f"{folder}/x", f"{place}/properties/target") == (0, "21.0")
        code, told = await curl("--unix-socket", f"{folder}/x", "--json", "[]", f"{place}/slots/who")
        assert code == 0
        assert told.startswith('"uid:')


async def test_curl_over_tls_with_a_token(certificates: Certificates, logins: Logins) -> None:
    async with served(certificates.url, hall=Thermostat(), tokens=logins.tokens) as host:
        place, ca = f"{host.url}/objects/hall/properties/target", ("--cacert", str(certificates.ca))
        assert await curl(*ca, "-H", logins.bearer, place) == (0, "21.0")
        code, told = await curl(*ca, "-w", " %{http_code}", place)
        assert code == 0
        assert told.endswith(" 401")
        assert (await curl(place))[0] == 60  # it does not know our authority


async def test_curl_follows_events() -> None:
    room = Thermostat()
    async with served(hall=room) as host:
        process = await asyncio.create_subprocess_exec(
            "curl", "-sN", f"{host.url}/objects/hall/signals/overheated", stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"retry: 1000\n"
        room.overheated.emit(33.0, "roof")
        assert await process.stdout.readline() == b"\n"
        assert await process.stdout.readline() == b'data: [33.0,"roof"]\n'
        process.terminate()
        await process.communicate()
        await until(lambda: not host.server.links)


async def test_curl_sends_more_than_we_take() -> None:
    """It is told so, and not just cut."""
    async with served(hall=Thermostat()) as host:
        place = f"{host.url}/objects/hall/slots/boost"
        code, told = await curl("--json", "[" + " " * 100_000 + "1]", place)
        assert (code, told) == (0, "60")
        process = await asyncio.create_subprocess_shell(
            f"head -c 6000000 /dev/zero | curl -s -w ' %{{http_code}}' --json @- {place}",
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert out.decode().endswith(" 413")


async def test_pythons_own_client() -> None:
    async with served(hall=Thermostat()) as host:

        def talk() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", host.port)
            for _ in range(3):
                connection.request("POST", "/objects/hall/slots/boost", "[1]", {"Content-Type": "application/json"})
                assert json.loads(connection.getresponse().read()) == 60
            body = (piece for piece in (b"[", b"2", b"]"))
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/objects/hall/slots/boost", body, headers, encode_chunked=True)
            assert connection.getresponse().read() == b"120"
            connection.close()
            with urllib.request.urlopen(f"{host.url}/objects") as answer:
                assert json.load(answer)[0]["name"] == "hall"
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{host.url}/objects/attic")

        await asyncio.to_thread(talk)


class UnixConnection(http.client.HTTPConnection):
    """Python's own client on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("plant")
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


async def test_pythons_own_client_on_a_unix_socket(folder: Path) -> None:
    async with served(f"http+local:{folder}/x", hall=Thermostat()):

        def talk() -> bytes:
            connection = UnixConnection(folder / "x")
            connection.request("GET", "/objects/hall/properties/target")
            try:
                return connection.getresponse().read()
            finally:
                connection.close()

        assert await asyncio.to_thread(talk) == b"21.0"


async def test_aiohttp_calls_streams_and_listens() -> None:
    room = Thermostat()
    async with served(hall=room) as host, aiohttp.ClientSession(f"{host.url}/objects/hall/") as session:
        async with session.post("slots/boost", json={"minutes": 3}) as answer:
            assert await answer.json() == 180
        async with session.put("properties/target", json=30) as answer:
            assert await answer.json() == 30.0
        async with session.put("properties/target", json=99) as answer:
            assert answer.status == 422
            assert (await answer.json())["code"] == "OUT_OF_RANGE"
        async with session.post("slots/readings", json=[3]) as answer:
            assert [float(line) async for line in answer.content] == [0.0, 1.0, 2.0]
        answers = await asyncio.gather(*(session.post("slots/boost", json=[n]) for n in range(60)))
        assert [await answer.json() for answer in answers] == [60 * n for n in range(60)]
        async with session.get("events") as answer:
            lines: list[Any] = []
            async for line in answer.content:
                if line.startswith(b"data: "):
                    lines.append(json.loads(line[6:]))
                if len(lines) == 1:
                    room.mode = type(room.mode).HEAT
                if len(lines) == 2:
                    break
            assert lines[1] == {"changed": "mode", "value": "HEAT"}
