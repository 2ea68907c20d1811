"""`everywire serve --tokens`: real hosts and clients, over an address of this machine that others could reach."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from click.testing import Result

from everywire import Role, Tokens
from everywire.cli.exits import Exit

PLANT: Final = "everywire.cli.plant:Thermostat"
SIOCGIFADDR: Final = 0x8915  # netdevice(7)
Cli = Callable[..., Result]
Start = Callable[..., Any]


def outer_address() -> str:
    """An IPv4 address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            try:
                told = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
            except OSError:  # it has none
                continue
            address = socket.inet_ntoa(told[20:24])
            if not address.startswith("127."):
                return address
    return "127.0.0.1"


class Site:
    """A host's files, and everybody's certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host = folder, outer_address()
        self.tokens = Tokens(folder / "tokens.json")
        authority, other = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        authority.issue_cert(self.host, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "host.pem")
        for name, ca in (("panel", authority), ("stray", authority), ("foreign", other)):
            made = ca.issue_cert(
                "x@example.org", common_name=name, organization_name="Acme", organization_unit_name="P"
            )
            made.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        self.audit = folder / "audit.log"

    def token(self, name: str, role: Role = Role.OPERATOR, *, expires: float | None = None) -> str:
        """Make a token; return the file it is in."""
        file = self.folder / f"{name}.token"
        file.touch(mode=0o600)
        file.write_text(self.tokens.add(name, role, expires=expires))
        return str(file)

    def serving(self, start: Start, *options: str, on: str = "") -> Any:
        on = on or f"tls://0.0.0.0:0?cert={self.folder / 'host.pem'}"
        audit = ("--audit", str(self.audit))
        program = start("serve", PLANT, "--name", "hall", "--on", on, *audit, *options)
        program.told = program.lines_until("Ctrl-C")
        port = program.told[1].split()[0].rpartition(":")[2]
        program.url = f"{'tls' if on.startswith('tls') else 'tcp'}://{self.host}:{port}"
        return program

    @property
    def denials(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def client(start: Start) -> Callable[..., Any]:
    """Run `everywire …` as a process to its end."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "everywire", *words],
            capture_output=True, text=True, timeout=18, check=False, env=os.environ | environment,
        )  # fmt: skip

    return run


def test_who_has_a_token_is_served_over_the_network(site: Site, start: Start, client: Callable[..., Any]) -> None:
    panel, screen = site.token("panel"), site.token("screen", Role.VIEWER)
    host = site.serving(start, "--tokens", str(site.tokens.file))
    assert host.told[1].split("  ")[-1] == "for who has a token"
    url = f"{host.url}?ca={site.folder}/ca.pem"
    assert client("call", f"{url}&token={panel}", "hall", "boost", "10").stdout == "600\n"
    assert client("get", url, "hall", "target", EVERYWIRE_TOKEN=screen).stdout == "21.0 Cel\n"
    refused = client("set", url, "hall", "target", "30", EVERYWIRE_TOKEN=screen)
    assert (refused.returncode, refused.stdout) == (Exit.REFUSED, "")
    assert [(line["denied"], line["caller"], line["member"]) for line in site.denials] == [
        ("call", "token:screen", "target")
    ]
    assert site.audit.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("why", ["no token", "wrong secret", "unknown name", "expired"])
def test_who_has_none_is_told_at_once_and_leaves_one_line(
    site: Site, start: Start, client: Callable[..., Any], why: str
) -> None:
    file = Path(site.token("panel", expires=time.time() - 1 if why == "expired" else None))
    if why == "wrong secret":
        file.write_text(file.read_text()[:-4] + "AAAA")
    elif why == "unknown name":
        file.write_text("x" + file.read_text())
    host = site.serving(start, "--tokens", str(site.tokens.file))
    url = f"{host.url}?ca={site.folder}/ca.pem" + ("" if why == "no token" else f"&token={file}")
    refused = client("get", url, "hall")
    assert (refused.returncode, refused.stdout) == (Exit.REFUSED, "")
    assert ("needs a token: add &token=FILE" if why == "no token" else "wrong, expired or revoked") in refused.stderr
    assert file.read_text().partition(".")[2] not in refused.stderr
    (line,) = site.denials
    assert (line["denied"], line["reason"]) == ("login", "it did not log in" if why == "no token" else why)


def test_a_watch_ends_when_its_token_is_removed(site: Site, start: Start, client: Callable[..., Any]) -> None:
    screen = site.token("screen", Role.VIEWER)
    host = site.serving(start, "--tokens", str(site.tokens.file))
    watching = start("watch", f"{host.url}?ca={site.folder}/ca.pem&token={screen}", "hall", "target")
    assert watching.line() == "target  21.0 Cel"
    assert client("token", "remove", "screen", "--tokens", str(site.tokens.file)).returncode == Exit.OK
    assert watching.code == Exit.REFUSED
    assert "was revoked" in watching.end()[1]
    assert [line["reason"] for line in site.denials] == ["was revoked"]


@pytest.mark.parametrize("shown", ["stray", "foreign"])
def test_a_certificate_that_is_not_listed_or_of_another_authority_is_nobody(
    site: Site, start: Start, client: Callable[..., Any], shown: str
) -> None:
    subject = "CN=panel,OU=P,O=Acme"
    site.tokens.add_certificate("panel", Role.OPERATOR, subject)
    on = f"tls://0.0.0.0:0?cert={site.folder / 'host.pem'}&ca={site.folder / 'ca.pem'}"
    host = site.serving(start, "--tokens", str(site.tokens.file), on=on)
    assert host.told[1].split("  ")[-1] == "for who has a token or a listed certificate"
    url = f"{host.url}?ca={site.folder}/ca.pem&cert={site.folder}"
    assert client("call", f"{url}/panel.pem", "hall", "boost").stdout == "600\n"
    refused = client("call", f"{url}/{shown}.pem", "hall", "boost")
    assert refused.returncode == (Exit.REFUSED if shown == "stray" else Exit.NO_CONNECTION)
    (line,) = site.denials
    if shown == "stray":
        assert (line["denied"], line["caller"]) == ("login", "CN=stray,OU=P,O=Acme")
    else:
        assert (line["denied"], line["caller"]) == ("certificate", "anonymous")


def test_certificates_alone_make_operators(site: Site, start: Start, client: Callable[..., Any]) -> None:
    on = f"tls://0.0.0.0:0?cert={site.folder / 'host.pem'}&ca={site.folder / 'ca.pem'}"
    host = site.serving(start, on=on)
    assert host.told[1].split("  ")[-1] == "for clients whose certificate is known"
    url = f"{host.url}?ca={site.folder}/ca.pem&cert={site.folder}/stray.pem"
    assert client("call", url, "hall", "boost").stdout == "600\n"


# ----------------------------------------------------------------------------------------------------------- bind rule
def test_without_tokens_and_certificates_it_is_not_served(cli: Cli, site: Site) -> None:
    result = cli("serve", PLANT, "--on", f"tls://0.0.0.0:0?cert={site.folder / 'host.pem'}")
    assert result.exit_code == Exit.USAGE
    assert "could be reached from other machines" in result.stderr
    assert "--tokens FILE" in result.stderr
    assert "ca=FILE" in result.stderr


def test_tokens_do_not_make_clear_text_safe(cli: Cli, site: Site) -> None:
    site.token("panel")
    result = cli("serve", PLANT, "--on", "tcp://0.0.0.0:0", "--tokens", str(site.tokens.file))
    assert result.exit_code == Exit.USAGE
    assert "without encryption, so that tokens alone do not help" in result.stderr


def test_who_insists_is_served_in_clear_text_and_still_has_to_log_in(
    site: Site, start: Start, client: Callable[..., Any]
) -> None:
    panel = site.token("panel")
    host = site.serving(start, "--tokens", str(site.tokens.file), "--insecure", on="tcp://0.0.0.0:0")
    assert host.told[1].split("  ")[-1] == "for who has a token, in clear text"
    assert client("call", f"{host.url}?token={panel}", "hall", "boost").stdout == "600\n"
    assert client("get", host.url, "hall").returncode == Exit.REFUSED


def test_an_insecure_host_without_tokens_gives_strangers_nothing(
    site: Site, start: Start, client: Callable[..., Any]
) -> None:
    host = site.serving(start, "--insecure", on="tcp://0.0.0.0:0")
    assert (
        host.told[1].split("  ")[-1]
        == "for everybody on this machine, anonymously; others are strangers, who get nothing"
    )
    port = host.url.rpartition(":")[2]
    assert client("get", f"tcp://127.0.0.1:{port}", "hall", "target").stdout == "21.0 Cel\n"


def test_a_host_whose_file_has_no_entries_says_so(site: Site, start: Start) -> None:
    host = site.serving(start, "--tokens", str(site.folder / "none.json"), on="tcp://127.0.0.1:0")
    host.interrupt()
    assert "has no entries, so nobody can log in yet: everywire token add" in host.end()[1]


@pytest.mark.parametrize("what", ["tokens", "audit"])
def test_a_file_that_cannot_be_used_is_told_before_anything_is_served(cli: Cli, site: Site, what: str) -> None:
    site.token("panel")
    site.tokens.file.chmod(0o644)
    file = {"tokens": str(site.tokens.file), "audit": "/nowhere/at/all"}[what]
    result = cli("serve", PLANT, "--on", "tcp://127.0.0.1:0", f"--{what}", file)
    assert result.exit_code == Exit.USAGE
    assert ("chmod 600" if what == "tokens" else "cannot write the audit trail") in result.stderr


# ------------------------------------------------------------------------------------------------------- real trouble
def test_a_recorded_login_is_refused_by_a_real_host(site: Site, start: Start) -> None:
    """What a client sent over loopback without TLS, sent again byte by byte."""
    panel = site.token("panel")
    host = site.serving(start, "--tokens", str(site.tokens.file), on="tcp://127.0.0.1:0")
    port = int(host.url.rpartition(":")[2])
    recorded, first_answer = asyncio.run(record(port, panel))
    assert b"thermostat" in first_answer.replace(b"\0", b"").lower()
    with socket.create_connection(("127.0.0.1", port), timeout=15) as replay:
        answer = b""
        replay.sendall(recorded)
        while data := replay.recv(65536):
            answer += data
    assert b"thermostat" not in answer.replace(b"\0", b"").lower()
    assert b"wrong,expired" in answer.replace(b"\0", b"").replace(b" ", b"")
    assert [line["reason"] for line in site.denials] == ["wrong secret"]


async def record(port: int, token: str) -> tuple[bytes, bytes]:
    """Run a real client through a proxy; return what it sent and what it got."""
    sent, got = bytearray(), bytearray()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        while data := await reader.read(65536):
            kept.extend(data)
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back, sent), copy(there, writer, got))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}?token={token}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "everywire", "get", url, "hall", "target", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    server.close()
    assert out == b"21.0 Cel\n"
    return bytes(sent), bytes(got)


def test_a_host_that_is_killed_in_the_midst_of_a_login_is_no_connection(site: Site, start: Start) -> None:
    """The client has proven itself to a host that stands still, and which then is no more."""
    panel = site.token("panel")
    host = site.serving(start, "--tokens", str(site.tokens.file), on="tcp://127.0.0.1:0")
    host.process.send_signal(signal.SIGSTOP)  # the kernel still takes the connection
    calling = start("get", f"tcp://127.0.0.1:{host.url.rpartition(':')[2]}?token={panel}", "hall")
    until(lambda: established(int(host.url.rpartition(":")[2])))
    host.process.kill()
    assert calling.code == Exit.NO_CONNECTION


def established(port: int) -> bool:
    """Whether somebody is connected to the port, as /proc/net/tcp tells."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVERYWIRE_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
