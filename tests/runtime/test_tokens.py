"""The file of tokens: who may log in, what a broken or open file does, writers at once, and what guessing costs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from everywire import Code, Fault, ModelError, Role, TokenError, Tokens, UnsupportedPlatform
from everywire.runtime import scram, tokenfile
from everywire.runtime import tokens as tokens_module
from everywire.runtime.attempts import MOST_FAILURES
from everywire.runtime.scram import make_verifier, matches
from everywire.runtime.tokens import MOST_REMEMBERED, MOST_WAITING, Grant


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derivations that a test can afford by the dozen."""
    monkeypatch.setattr(scram.make_verifier, "__defaults__", (scram.LEAST_COST,))
    monkeypatch.setattr(tokens_module, "COST", scram.LEAST_COST)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def changed(file: Path, **entry: Any) -> None:
    """Edit the entry `panel` by hand."""
    read = json.loads(file.read_text(encoding="utf-8"))
    read["entries"]["panel"] |= entry
    file.write_text(json.dumps(read), encoding="utf-8")


class Derivations:
    """Counts them, and notes the threads that they ran in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        monkeypatch.setattr(tokens_module, "matches", self._matches)

    def _matches(self, secret: str, verifier: scram.Verifier) -> bool:
        self.threads.append(threading.get_ident())
        return matches(secret, verifier)


# ------------------------------------------------------------------------------------------------------------ entries
async def test_a_token_is_good_until_its_entry_is_removed(file: Path) -> None:
    tokens = Tokens(file)
    token = tokens.add("panel", Role.OPERATOR)
    grant = await tokens.check(token)
    assert grant is not None
    assert (grant.name, grant.role, grant.identity) == ("panel", Role.OPERATOR, "token:panel")
    assert tokens.holds(grant)
    tokens.remove("panel")
    assert not tokens.holds(grant)
    assert await tokens.check(token) is None


async def test_what_another_process_writes_holds_at_once(file: Path) -> None:
    tokens = Tokens(file)
    grant = await tokens.check(Tokens(file).add("panel", Role.VIEWER))
    assert grant is not None
    changed(file, role="admin")
    assert not tokens.holds(grant)
    assert tokens.grants["panel"].role is Role.ADMIN


async def test_a_token_ends_when_it_expires(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    token = tokens.add("panel", Role.OPERATOR, expires=time.time() + 1000)
    grant = await tokens.check(token)
    assert grant is not None
    before = tokens.revision
    assert tokens.revision == before
    later = time.time() + 1001
    monkeypatch.setattr(time, "time", lambda: later)
    assert not tokens.holds(grant)
    assert await tokens.check(token) is None
    assert tokens.revision != before
    assert tokens.revision == tokens.revision
    assert tokens.why_not("panel") == "expired"
    assert "panel" in tokens.grants


def test_a_certificate_has_an_entry_by_its_subject(file: Path) -> None:
    tokens = Tokens(file)
    tokens.add_certificate("office", Role.VIEWER, "CN=office,O=Acme")
    grant = tokens.of_certificate("CN=office,O=Acme")
    assert grant is not None
    assert (grant.role, grant.identity) == (Role.VIEWER, "CN=office,O=Acme")
    assert tokens.of_certificate("CN=office") is None
    with pytest.raises(ModelError, match="has that certificate already, as 'office'"):
        tokens.add_certificate("other", Role.ADMIN, "CN=office,O=Acme")


def test_a_role_in_a_word_is_told_what_roles_are(file: Path) -> None:
    with pytest.raises(ModelError, match=r"'operator' is no role; one is Role\.VIEWER, "):
        Tokens(file).add("panel", "operator")  # type: ignore[arg-type]


async def test_an_entry_for_a_certificate_is_no_token(file: Path) -> None:
    tokens = Tokens(file)
    tokens.add_certificate("office", Role.ADMIN, "CN=office")
    assert await tokens.check("office.anything") is None


def test_the_file_holds_no_secret_and_belongs_to_its_owner_alone(file: Path) -> None:
    token = Tokens(file).add("panel", Role.OPERATOR)
    assert token.partition(".")[2] not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 65, "a\n", "../x"])
def test_a_name_has_only_harmless_characters(file: Path, name: str) -> None:
    with pytest.raises(ModelError, match="1 to 64 letters"):
        Tokens(file).add(name, Role.VIEWER)


def test_an_entry_is_not_overwritten_and_not_missing(file: Path) -> None:
    tokens = Tokens(file)
    tokens.add("panel", Role.VIEWER)
    with pytest.raises(ModelError, match="has an entry 'panel' already; remove it first"):
        tokens.add("panel", Role.ADMIN)
    with pytest.raises(ModelError, match="has no entry 'pannel'; it has panel"):
        tokens.remove("pannel")
    with pytest.raises(ModelError, match="a stranger needs no entry"):
        tokens.add("nobody", Role.STRANGER)
    with pytest.raises(ModelError, match="a certificate needs a subject"):
        tokens.add_certificate("x", Role.ADMIN, "")


# -------------------------------------------------------------------------------------------------- a file gone wrong
def holding(**entries: dict[str, Any]) -> str:
    return json.dumps({"secret": "MDEyMzQ1Njc4OWFiY2RlZg==", "entries": entries})


BROKEN = [
    "",
    "{",
    "[]",
    '{"secret": "", "entries": {}}',
    '{"entries": {}}',
    holding(a={"role": "operator"}),
    holding(a={"role": "king", "certificate": "CN=a"}),
    holding(a={"role": "stranger", "certificate": "CN=a"}),
    holding(**{"a b": {"role": "admin", "certificate": "CN=a"}}),
    holding(a={"role": "admin", "certificate": "CN=a", "expire": 1}),
    holding(a={"role": "admin", "certificate": "CN=a", "salt": "AAAA"}),
    holding(a={"role": "admin", "certificate": "CN=a"}, b={"role": "viewer", "certificate": "CN=a"}),
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_says_something_else_is_refused_at_the_start(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(TokenError, match="is no file of tokens"):
        Tokens(file)


@pytest.mark.parametrize(
    "entry",
    [
        {"cost": 1 << 30},
        {"cost": 4097},
        {"cost": None},
        {"salt": "AAAA"},
        {"stored_key": "AAAA"},
        {"server_key": ""},
        {"expires": 1e999},
        {"certificate": "CN=too"},
    ],
)
def test_keys_that_cannot_be_are_refused(file: Path, entry: dict[str, Any]) -> None:
    Tokens(file).add("panel", Role.VIEWER)
    changed(file, **entry)
    with pytest.raises(TokenError, match="is no file of tokens"):
        Tokens(file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_is_open_to_others_is_refused_with_advice(file: Path, mode: int) -> None:
    Tokens(file).add("panel", Role.VIEWER)
    file.chmod(mode)
    with pytest.raises(TokenError, match=f"is open to others .*: chmod 600 {file}"):
        Tokens(file)


def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tokens(file).add("panel", Role.VIEWER)
    owner = file.stat().st_uid
    if owner == 0:
        os.chown(file, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(TokenError, match="belongs to another user"):
        Tokens(file)


@pytest.mark.parametrize("how", ["broken", "open", "gone", "a folder"])
async def test_a_file_that_goes_wrong_later_lets_nobody_in_and_is_complained_about_once(
    file: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens(file)
    token = tokens.add("panel", Role.VIEWER)
    grant = await tokens.check(token)
    assert grant is not None
    good = file.read_bytes()
    if how == "broken":
        file.write_bytes(good[:-20])
    elif how == "open":
        file.chmod(0o644)
    else:
        file.unlink()
        if how == "a folder":
            file.mkdir()
    for _ in range(5):
        assert not tokens.holds(grant)
        assert await tokens.check(token) is None
    assert [record.levelno for record in caplog.records if record.name == "everywire.tokens"] == [logging.ERROR]
    if how == "a folder":
        file.rmdir()
    file.write_bytes(good)
    file.chmod(0o600)
    assert tokens.holds(grant)


async def test_a_failure_to_read_that_passes_is_not_remembered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process has no descriptors left: the file has not changed since, and yet is read again."""
    token = Tokens(file).add("panel", Role.VIEWER)
    tokens = Tokens(file)
    changed(file, role="admin")

    def none_left(*_: object) -> None:
        raise TokenError("cannot read it: Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(tokens_module, "read_table", none_left)
        assert await tokens.check(token) is None
    assert await tokens.check(token) is not None


def test_two_changes_under_one_time_stamp_are_both_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ticks every few milliseconds gives a file that was just changed the stamp of its next change."""
    Tokens(file).add("panel", Role.VIEWER)
    now = time.time_ns()
    monkeypatch.setattr(tokens_module, "stamp_of", lambda _: (now, now, 1, 500))
    tokens = Tokens(file)
    changed(file, role="admin")
    assert tokens.grants["panel"].role is Role.ADMIN


def test_a_file_that_has_not_changed_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    tokens.add("panel", Role.VIEWER)
    long_ago = time.time_ns() - 10**10
    os.utime(file, ns=(long_ago, long_ago))
    assert "panel" in tokens.grants

    def never(_: Path) -> None:
        pytest.fail("it was read again")

    monkeypatch.setattr(tokens_module, "read_table", never)
    assert all("panel" in tokens.grants for _ in range(100))


def test_a_time_that_there_is_not_is_refused(file: Path) -> None:
    Tokens(file).add("panel", Role.VIEWER, expires=12345.0)
    file.write_text(file.read_text().replace("12345.0", "1e999"))
    with pytest.raises(TokenError, match="is no file of tokens"):
        Tokens(file)


def test_a_file_that_may_not_be_looked_at_or_read_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tokens(file).add("panel", Role.VIEWER)

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for owner, function in ((os, "open"), (Path, "stat")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, function, forbidden)
            patch.setattr(os, "open", forbidden)
            with pytest.raises(TokenError, match=f"cannot read {file}: Permission denied"):
                Tokens(file)


def test_where_files_have_no_modes_none_is_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tokens(file).add("panel", Role.VIEWER)
    file.chmod(0o644)
    monkeypatch.setattr(tokenfile, "POSIX", False)
    assert "panel" in Tokens(file).grants


def test_a_system_without_locks_changes_no_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(UnsupportedPlatform, match="needs fcntl"):
        Tokens(file).add("panel", Role.VIEWER)


# ------------------------------------------------------------------------------------------------------------ writers
ADD = """
import sys
from everywire import Role, Tokens
for number in range(int(sys.argv[3])):
    Tokens(sys.argv[1]).add(f"{sys.argv[2]}-{number}", Role.VIEWER)
"""


def test_writers_at_once_lose_nothing(file: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", ADD, str(file), f"w{number}", "5"]) for number in range(4)]
    assert [writer.wait(timeout=18) for writer in writers] == [0, 0, 0, 0]
    assert len(Tokens(file).grants) == 20
    assert [left.name for left in file.parent.iterdir() if left.name.startswith(".tokens.json.")] == [
        ".tokens.json.lock"
    ]


def test_a_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    tokens.add("panel", Role.VIEWER)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TokenError, match=r"cannot write .*No space left on device"):
        tokens.add("other", Role.VIEWER)
    assert file.read_bytes() == before
    assert sorted(left.name for left in file.parent.iterdir()) == [".tokens.json.lock", "tokens.json"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="make its folder first"):
        Tokens(tmp_path / "absent" / "tokens.json").add("panel", Role.VIEWER)


def test_a_link_to_the_file_stays_one(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    Tokens(real).add("panel", Role.VIEWER)
    file.symlink_to(real)
    Tokens(file).add("other", Role.VIEWER)
    assert file.is_symlink()
    assert set(Tokens(real).grants) == {"panel", "other"}


# ----------------------------------------------------------------------------------------------------------- checking
async def test_a_token_is_derived_once_and_never_in_the_loops_thread(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, derivations = Tokens(file), Derivations(monkeypatch)
    token = tokens.add("panel", Role.VIEWER)
    checked = await asyncio.gather(*(tokens.check(token) for _ in range(20)))
    assert all(checked)
    assert len(derivations.threads) == 1
    assert threading.get_ident() not in derivations.threads


async def test_an_address_that_guesses_is_soon_refused_without_a_derivation(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, derivations = Tokens(file), Derivations(monkeypatch)
    token = tokens.add("panel", Role.VIEWER)
    assert await tokens.check(token, address="192.0.2.1:1") is not None
    guesses = (tokens.check(f"panel.guess{number}", address="192.0.2.1:2") for number in range(30))
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert answers.count(None) == MOST_FAILURES
    refused = [answer for answer in answers if isinstance(answer, Fault)]
    assert {fault.code for fault in refused} == {Code.RESOURCE_EXHAUSTED}
    assert len(derivations.threads) == 1 + MOST_FAILURES
    assert await tokens.check(token, address="192.0.2.1:3") is not None, "who is known already is not held up"


async def test_an_unknown_name_takes_the_work_of_a_known_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, derivations = Tokens(file), Derivations(monkeypatch)
    assert await tokens.check("nobody.at-all") is None
    assert len(derivations.threads) == 1


@pytest.mark.parametrize(
    "token", ["", ".", "panel", "panel.", ".secret", "a b.c", "x" * 100 + ".y", "panel." + "y" * 600]
)
async def test_what_is_no_token_takes_no_work(file: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, derivations = Tokens(file), Derivations(monkeypatch)
    assert await tokens.check(token) is None
    assert not derivations.threads


async def test_only_so_many_wait_to_be_checked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    enough = threading.Event()

    def slow(_secret: str, _verifier: scram.Verifier) -> bool:
        return enough.wait() and False

    monkeypatch.setattr(tokens_module, "matches", slow)
    waiting = [
        asyncio.create_task(tokens.check("a.b", address=f"10.0.{n >> 8}.{n & 255}:1")) for n in range(MOST_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Fault, match="too many logins at once"):
        await tokens.check("a.b", address="192.0.2.1:1")
    enough.set()
    assert set(await asyncio.gather(*waiting)) == {None}


async def test_a_token_revoked_while_it_is_derived_is_not_let_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    token = tokens.add("panel", Role.VIEWER)

    def revoking(secret: str, verifier: scram.Verifier) -> bool:
        Tokens(file).remove("panel")
        return matches(secret, verifier)

    monkeypatch.setattr(tokens_module, "matches", revoking)
    assert await tokens.check(token) is None


async def test_the_tokens_that_are_remembered_are_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    tokens.add("panel", Role.VIEWER)
    monkeypatch.setattr(tokens_module, "matches", lambda *_: True)
    for number in range(MOST_REMEMBERED + 10):
        assert await tokens.check(f"panel.{number}") is not None
    assert len(tokens._checked) == 10


def test_one_file_serves_the_nodes_of_several_loops(file: Path) -> None:
    tokens = Tokens(file)
    good, bad = tokens.add("panel", Role.VIEWER), "panel.wrong"

    async def check() -> list[Grant | None]:
        return await asyncio.gather(*(tokens.check(token) for token in (good, bad, good, bad)))

    for _ in range(2):
        first, second, third, fourth = asyncio.run(check())
        assert first == third is not None
        assert second is fourth is None


# ------------------------------------------------------------------------------------------------------ unknown names
def test_a_name_without_an_entry_looks_like_one_with(file: Path) -> None:
    tokens = Tokens(file)
    tokens.add("panel", Role.VIEWER)
    made_up, real = tokens.verifier("nobody"), tokens.verifier("panel")
    assert (len(made_up.salt), made_up.cost) == (len(real.salt), real.cost)
    assert tokens.verifier("nobody").salt == made_up.salt
    assert tokens.verifier("somebody").salt != made_up.salt
    assert tokens.verifier("nobody").stored_key != made_up.stored_key


def test_it_looks_the_same_after_a_restart_and_a_change_of_the_file(file: Path) -> None:
    Tokens(file).add("panel", Role.VIEWER)
    before = Tokens(file).verifier("nobody").salt
    Tokens(file).add("other", Role.VIEWER)
    Tokens(file).remove("panel")
    assert Tokens(file).verifier("nobody").salt == before


def test_nothing_fits_what_is_made_up(file: Path) -> None:
    tokens = Tokens(file)
    assert not matches("", tokens.verifier("nobody"))
    assert tokens.why_not("nobody") == "unknown name"


def test_the_grant_of_a_verifier_compares_by_what_it_holds() -> None:
    verifier = make_verifier("s", b"01234567")
    assert Grant(name="a", role=Role.ADMIN, verifier=verifier) == Grant(name="a", role=Role.ADMIN, verifier=verifier)
    assert tokenfile.stamp_of(Path("/nowhere/at/all")) == ()
