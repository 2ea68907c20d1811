"""What click lacks for our verbs: errors as one line with an exit code, negative numbers as values, common options."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from everywire.cli.ending import Ended, OutputLost
from everywire.cli.exits import MEANINGS, Exit, exit_of, suggestion
from everywire.errors import EverywireError, MissingExtra

F = TypeVar("F", bound=Callable[..., Any])

EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:3d}  {meaning}" for code, meaning in MEANINGS.items())
DEBUG: Final = "everywire.debug"
COMPLETE: Final = "_EVERYWIRE_COMPLETE"
"""The variable by which a shell asks for completions; click's name for it."""


class Verbs(click.Group):
    """The verbs; turns every error into one line that says what, why and what to do."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line, or answer a shell that asks for completions."""
        if COMPLETE in os.environ:
            importlib.import_module("everywire.cli.completing")  # it registers our ways with each shell
        return super().main(*args, **extra)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a verb, or a group of them."""
        _keep_examples(cmd)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; exit with the code that its error stands for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)
        except Ended as ended:
            ctx.exit(ended.code)
        except MissingExtra as error:
            self._tell(ctx, f"that needs what is not installed: {error}")
            ctx.exit(exit_of(error))
        except EverywireError as error:
            self._tell(ctx, str(error))
            ctx.exit(exit_of(error))
        except (click.ClickException, click.exceptions.Exit, click.Abort, OutputLost):
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


def _keep_examples(command: click.Command) -> None:
    r"""Turn a written \b, as raw docstrings have it, into the mark by which click leaves a paragraph's lines alone."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _keep_examples(inner)


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


def offered(source: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """Return what completes a parameter: the function *source* of `everywire.cli.completing`, loaded when asked."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> Any:
        from everywire.cli import completing

        return completing.offers(source, ctx, incomplete)

    return complete
