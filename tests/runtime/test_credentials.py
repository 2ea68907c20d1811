"""A client's token comes from a file that nobody else can read, and is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from everywire import AddressError, RemoteObjects, TokenError
from everywire.runtime.credentials import Credential, read_token, separated, split


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "panel.token"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_a_file_holds_the_token_with_or_without_a_line_end(tmp_path: Path) -> None:
    assert read_token(written(tmp_path, "panel.s3cret\n")) == ("panel", "s3cret")
    assert Credential(file=str(written(tmp_path, "panel.s3cret"))).read() == ("panel", "s3cret")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_can_open_is_refused_with_advice(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, "panel.s3cret", mode)
    with pytest.raises(TokenError, match=f"is open to others .*: chmod 600 {file}"):
        read_token(file)


@pytest.mark.parametrize(
    "text", ["", "panel", "panel.", ".s3cret", "a b.c", "panel.s3 cret", "panel.a\npanel.b", "panel.é"]
)
def test_a_file_with_something_else_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(TokenError) as refused:
        read_token(file)
    assert str(refused.value) == f"{file} holds no token; one looks like NAME.SECRET, alone in its file"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=r"there is no file .*everywire token add"):
        read_token(tmp_path / "absent")
    with pytest.raises(TokenError, match="is not a file"):
        read_token(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="longer than"):
        read_token(written(tmp_path, "x" * 100_000))


def test_a_token_where_its_file_belongs_is_not_repeated() -> None:
    token = "panel." + "s3cret_" * 8
    with pytest.raises(TokenError, match="a file that holds the token is wanted") as refused:
        read_token(token)
    assert "s3cret" not in str(refused.value)


def test_an_address_names_the_file_and_loses_it_on_the_way_to_the_transport() -> None:
    address, credential = separated("tls://plant:65214?ca=ca.pem&token=/etc/panel.token")
    assert (str(address), credential.file) == ("tls://plant:65214?ca=ca.pem", "/etc/panel.token")
    address, credential = separated("local:climate")
    assert (str(address), bool(credential)) == ("local:climate", False)


def test_two_tokens_for_one_address_are_refused() -> None:
    for url, token in (("tcp://h:1?token=f", "panel.s3cret"), ("tcp://h:1?token=", "")):
        with pytest.raises(AddressError, match="give it once"):
            separated(url, token)


def test_no_representation_shows_a_token() -> None:
    shown = [repr(RemoteObjects(url="tcp://h:1", token="panel.s3cret")), repr(Credential(token="panel.s3cret"))]
    shown.append(str(Credential(token="panel.s3cret")))
    with pytest.raises(TokenError) as refused:
        split("panel s3cret")
    shown.append(str(refused.value))
    assert not any("s3cret" in text for text in shown)
    assert repr(Credential(file="f")) == "<the token of f>"
    assert repr(Credential()) == "<no token>"
