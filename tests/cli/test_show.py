"""`everywire show`: the contract for people, and exactly for programs; hostile texts stay texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

import everywire.cli.describing
import everywire.cli.printing
from everywire import Code, Fault, contract_of
from everywire.cli.exits import Exit
from everywire.cli.plant import Thermostat
from everywire.model.description import describe, read_description
from tests.cli.zoo import Beast

Cli = Callable[..., Result]
HARMLESS = r"Says [bold]boo[/bold] \x1b]0;owned\x07 and \x1b[2J\u202eevil, `touch /tmp/x`."


def good(result: Result) -> str:
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def test_people_see_every_part_of_the_contract(cli: Cli, zoo: str) -> None:
    shown = good(cli("show", zoo, "beast"))
    for line in (
        "beast (Beast)",
        "  weight: f32 ≥ 0 kg",
        "  speed: i64 0…20 m/s, writable",
        "  born: datetime | None",
        "  table: dict[str, list[Point]]",
        "  pair: tuple[i64, str]",
        "  roared(loud: f64 0…130 dB, mood: Mood)   On request.",
        "  feed(what: str, mood: Mood = WILD, fast: bool = false, count: u8 = 1) -> str",
        "      Give it something.",
        "  run(along: Path, within: timedelta = PT90S) -> Path | None, timeout 2.5 s",
        "  steps(until: i64 = 3) -> stream of Point, no timeout",
        "  Mood: enum CALM, WILD",
        "  Level: enum LOW = 1, HIGH = 10",
        "  Access: flags READ = 1, WRITE = 2",
        "  Path: struct",
        "    points: tuple[Point, ...]",
        "    name: str | None, optional",
    ):
        assert line in shown.splitlines()
    assert max(map(len, shown.splitlines())) <= everywire.cli.printing.PLAIN_WIDTH


def test_what_strangers_write_cannot_command_the_terminal(cli: Cli, zoo: str) -> None:
    for words in ((zoo, "beast"), (zoo,), (zoo, "beast", "tame"), (zoo, "--json"), (zoo, "beast", "--json")):
        shown = good(cli("show", *words))
        assert all(mark.isprintable() or mark == "\n" for mark in shown)
    assert HARMLESS in good(cli("show", zoo, "beast")).splitlines()


def test_only_the_named_members_and_their_types_are_shown(cli: Cli, zoo: str) -> None:
    assert good(cli("show", zoo, "beast", "mood", "steps")).splitlines()[3:] == [
        "Properties",
        "  mood: Mood, writable   Moves.",
        "",
        "                         It moves in a way that takes many words to tell, more than any terminal has",
        "                         columns, and this sentence goes on for that reason alone.",
        "",
        "                         And it has a second paragraph.",
        "",
        "Slots",
        "  steps(until: i64 = 3) -> stream of Point, no timeout",
        "      Give each step.",
        "",
        "Types",
        "  Mood: enum CALM, WILD",
        "  Point: struct",
        "    x: f64",
        "    y: f64, optional",
    ]


def test_json_is_the_contract_itself(cli: Cli, zoo: str) -> None:
    told = good(cli("show", zoo, "beast", "--json"))
    assert json.loads(told) == json.loads(describe(contract_of(Beast)))
    assert describe(read_description(told.encode())) == describe(contract_of(Beast))
    assert [m["name"] for m in json.loads(good(cli("show", zoo, "beast", "steps", "--json")))["members"]] == ["steps"]


def test_without_an_object_all_are_shown(cli: Cli, zoo: str) -> None:
    told = json.loads(good(cli("show", zoo, "--json")))
    assert list(told) == ["beast", "big $(beast)", "crowd"]
    assert len(told["crowd"]["members"]) == 200
    shown = good(cli("show", zoo)).splitlines()
    assert [line for line in shown if line.endswith("(Beast)")] == ["beast (Beast)", "big $(beast) (Beast)"]
    assert sum(line.startswith("  channel_") for line in shown) == 200


def test_an_object_that_cannot_be_read_is_told_beside_the_others(
    cli: Cli, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = everywire.cli.describing.contract_at

    async def refuse(session: Any, url: str, name: str) -> Any:
        if name == "museum":
            raise Fault(Code.PERMISSION_DENIED, "not for you")
        return await read(session, url, name)

    monkeypatch.setattr(everywire.cli.describing, "contract_at", refuse)
    assert good(cli("show", lab)).endswith("museum: its contract cannot be read: PERMISSION_DENIED: not for you\n")
    assert json.loads(good(cli("show", lab, "--json")))["museum"] is None


def test_a_wrong_name_is_answered_with_the_near_one(cli: Cli, zoo: str) -> None:
    result = cli("show", zoo, "beast", "step")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "Did you mean 'steps'?" in result.stderr
    assert "it offers beast, big $(beast), crowd. Did you mean 'beast'?" in cli("show", zoo, "best").stderr


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_it_fits_every_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(everywire.cli.describing, "columns", lambda: width)
    for cls in (Beast, Thermostat):
        for line in everywire.cli.describing.lines(cls.__name__, contract_of(cls)):
            assert len(line) <= max(width, everywire.cli.describing.NARROWEST + 6)
