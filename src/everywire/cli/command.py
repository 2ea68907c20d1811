"""The command line as click sees it: verbs, their options, and how an error becomes a line and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

import everywire as package
from everywire.cli.exits import MEANINGS, Exit, exit_of, suggestion
from everywire.errors import EverywireError

F = TypeVar("F", bound=Callable[..., Any])

EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:3d}  {meaning}" for code, meaning in MEANINGS.items())
DEBUG: Final = "everywire.debug"


class Verbs(click.Group):
    """The verbs; turns every error into one line that says what, why and what to do."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; exit with the code that its error stands for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)
        except EverywireError as error:
            self._tell(ctx, str(error))
            ctx.exit(exit_of(error))
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001  a person gets a line, not a traceback
            self._tell(ctx, f"{type(error).__name__}: {error} (a bug, or a class that failed; --debug shows where)")
            ctx.exit(Exit.BUG)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is answered with the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"there is no verb {args[0]!r}.{suggestion(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def _tell(self, ctx: click.Context, text: str) -> None:
        from everywire.cli.values import to_text  # not before it is needed: it loads the model

        if ctx.meta.get(DEBUG):
            traceback.print_exc()
        print(f"everywire: {to_text(text)}", file=sys.stderr)


class WithNumbers(click.Command):
    """A verb whose arguments may be negative numbers; click by itself takes them for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what looks like an option and is no number is refused."""
        options = args[: args.index("--")] if "--" in args else args
        rest = super().parse_args(ctx, list(args))
        words: str | tuple[str, ...] = ctx.params.get("words") or ()
        for word in (words,) if isinstance(words, str) else words:
            if word in options and word.startswith("-") and len(word) > 1 and not _is_number(word):
                known = [name for parameter in self.params for name in parameter.opts]
                near = suggestion(word, known)
                ctx.fail(f"there is no option {word}.{near} After -- values may begin with a dash.")
        return rest


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word[1:3].lower() == "0x"
    return True


def _debug(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  click calls it
    if wanted:
        ctx.find_root().meta[DEBUG] = True


debug_option: Final = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_debug, help="Show the traceback of an error."
)
json_option: Final = click.option("--json", "json", is_flag=True, help="Print JSON, one value a line, for scripts.")
timeout_option: Final = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="S",
    help="Seconds to wait for the host and the object; by default one attempt is made.",
)
count_option: Final = click.option("-n", "count", type=click.IntRange(min=1), help="End after so many lines.")


def remote_options(function: F) -> F:
    """Give a verb the options that all verbs on remote objects have."""
    return json_option(timeout_option(debug_option(function)))


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package.__version__, message="everywire %(version)s")
@debug_option
def everywire() -> None:
    """Serve objects, and use them wherever they are.

    A URL is local:NAME, tcp://HOST:PORT or tls://HOST:PORT?ca=FILE; the object is named beside it.
    """


@everywire.command("serve")
@click.argument("target", metavar="MODULE:CLASS")
@click.option("--name", metavar="N", help="Name of the object; by default that of the class.")
@click.option("--on", "urls", metavar="URL", multiple=True, required=True, help="Where to listen; may be repeated.")
@json_option
@debug_option
def serve_verb(target: str, name: str | None, urls: Sequence[str], *, json: bool) -> None:
    r"""Serve an object of a class until Ctrl-C.

    \b
    everywire serve everywire.cli.plant:Thermostat --name hall --on local:climate --on tcp://127.0.0.1:65213
    """
    from everywire.cli.hosting import serve
    from everywire.cli.looping import run

    run(serve(target, name, urls, json=json), fast=True)


@everywire.command("list")
@click.argument("url")
@remote_options
def list_verb(url: str, *, json: bool, timeout: float) -> None:
    """List the objects at a URL."""
    from everywire.cli.looping import run
    from everywire.cli.remote import list_objects

    run(list_objects(url, timeout=timeout, json=json))


@everywire.command("get")
@click.argument("url")
@click.argument("object_name", metavar="OBJECT")
@click.argument("names", metavar="[PROPERTY]...", nargs=-1)
@remote_options
def get_verb(url: str, object_name: str, names: Sequence[str], *, json: bool, timeout: float) -> None:
    """Read properties, all by default."""
    from everywire.cli.looping import run
    from everywire.cli.remote import Target, get

    run(get(Target(url, object_name, timeout, json), names))


@everywire.command("set", cls=WithNumbers, context_settings={"ignore_unknown_options": True})
@click.argument("url")
@click.argument("object_name", metavar="OBJECT")
@click.argument("name", metavar="PROPERTY")
@click.argument("words", metavar="VALUE", nargs=1)
@remote_options
def set_verb(url: str, object_name: str, name: str, words: str, *, json: bool, timeout: float) -> None:
    """Set a property; print the value that the object then has."""
    from everywire.cli.looping import run
    from everywire.cli.remote import Target, set_property

    run(set_property(Target(url, object_name, timeout, json), name, words))


@everywire.command("call", cls=WithNumbers, context_settings={"ignore_unknown_options": True})
@click.argument("url")
@click.argument("object_name", metavar="OBJECT")
@click.argument("slot")
@click.argument("words", metavar="[VALUE|NAME=VALUE]...", nargs=-1)
@count_option
@remote_options
def call_verb(
    url: str, object_name: str, slot: str, words: Sequence[str], *, count: int | None, json: bool, timeout: float
) -> None:
    """Call a slot and print its result.

    Values are written as the slot's types want them: numbers, text, enums by name, JSON for lists, dicts and structs;
    - reads JSON from the standard input. A stream prints one line for each item until Ctrl-C or -n.
    """
    from everywire.cli.looping import run
    from everywire.cli.remote import Target, call

    run(call(Target(url, object_name, timeout, json), slot, words, count=count))


@everywire.command("watch")
@click.argument("url")
@click.argument("object_name", metavar="OBJECT")
@click.argument("names", metavar="[MEMBER]...", nargs=-1)
@count_option
@remote_options
def watch_verb(
    url: str, object_name: str, names: Sequence[str], *, count: int | None, json: bool, timeout: float
) -> None:
    """Print changes and signals as they come.

    The present values come first and are not counted by -n. Without members all are watched.
    """
    from everywire.cli.looping import run
    from everywire.cli.remote import Target, watch

    run(watch(Target(url, object_name, timeout, json), names, count=count))


@everywire.command("demo")
@click.option("--once", is_flag=True, help="End when all has been compared: exit code 0 only if all agreed.")
@click.option("--qt/--no-qt", default=None, help="Use a real Qt program; by default when PySide6 is installed.")
@debug_option
def demo_verb(*, once: bool, qt: bool | None) -> None:
    """Serve a small plant, and use it on every wire."""
    from everywire.cli.demo.showing import demo
    from everywire.cli.looping import run

    if not run(demo(once=once, qt=qt), fast=True):
        sys.exit(Exit.FAULT)
