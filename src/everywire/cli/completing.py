"""Completion of the command's words in bash, zsh and fish, by click's mechanism; `offering` knows what there is.

Each shell sends the words as it understands them, one a line, and the unfinished one, and gets one offer a line: what
to insert, whether more belongs to the same word, and a description. bash's own splitting of words is not used, for it
cuts at every colon of a URL; what it would keep of such a word (COMP_WORDBREAKS) is cut off from the offers instead.

A completion says nothing when something fails, has a second in all, and runs nothing at the host.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, get_completion_class

from everywire.cli.grammar import COMPLETE

DEADLINE: Final = 1.5
"""Seconds after which a completion gives up, whatever it waits for; connections have less."""

BASH: Final = """\
# Words of everywire, for bash 4.4 or newer. In ~/.bashrc:  eval "$(everywire completion bash)"
%(complete_func)s() {
    local value more help command=${1/#\\~\\//$HOME/}
    COMPREPLY=()
    while IFS=$'\\t' read -r value more help; do
        COMPREPLY+=("$value")
        [[ $more != more ]] || compopt -o nospace
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} COMP_WORDBREAKS=$COMP_WORDBREAKS \\
        %(complete_var)s=bash_complete "$command" 2>/dev/null </dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

ZSH: Final = """\
#compdef %(prog_name)s
# Words of everywire, for zsh. In ~/.zshrc, after compinit:  eval "$(everywire completion zsh)"
%(complete_func)s() {
    local value more help command=${~words[1]}
    local -a ends end_texts open open_texts typed=("${(@Q)words[2,CURRENT-1]}")
    while IFS=$'\\t' read -r value more help; do
        [[ -z $help ]] || help="$value  -- $help"
        if [[ $more == more ]]; then
            open+=("$value") open_texts+=("${help:-$value}")
        else
            ends+=("$value") end_texts+=("${help:-$value}")
        fi
    done < <(COMP_WORDS=${(F)typed} COMP_CWORD=$PREFIX %(complete_var)s=zsh_complete $command 2>/dev/null </dev/null)
    (( ! $#open )) || compadd -V open -l -d open_texts -S '' -a open
    (( ! $#ends )) || compadd -V ends -l -d end_texts -a ends
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

FISH: Final = """\
# Words of everywire, for fish:  everywire completion fish > ~/.config/fish/completions/everywire.fish
function %(complete_func)s
    set -l typed (commandline -opc)
    set -lx %(complete_var)s fish_complete
    set -lx COMP_WORDS (string join \\n -- $typed[2..] | string collect --allow-empty)
    set -lx COMP_CWORD (commandline -ct)
    for offer in ($typed[1] 2>/dev/null </dev/null)
        set -l parts (string split \\t -- $offer)
        printf '%%s\\t%%s\\n' $parts[1] "$parts[3]"
    end
end
complete --command %(prog_name)s --no-files --keep-order --arguments '(%(complete_func)s)'
"""


def script(shell: str) -> str:
    """Return what a shell reads to complete our words."""
    from everywire.cli.command import everywire

    kind = get_completion_class(shell)
    assert kind is not None
    return kind(everywire, {}, "everywire", COMPLETE).source()


def offers(source: str, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return what the function *source* of `offering` gives for the unfinished word; nothing when that fails."""
    from everywire.cli import offering

    with contextlib.suppress(Exception):
        found: Iterable[offering.Offer] = getattr(offering, source)(ctx.params, incomplete)
        return [
            CompletionItem(offer.text, help=offer.help, more=offer.more)
            for offer in found
            if offer.text.startswith(incomplete) and offer.text.isprintable()
        ]
    return []


def _give_up(*_: object) -> None:
    os._exit(0)


class _Completion(ShellComplete):
    """What the three shells have in common."""

    def complete(self) -> str:
        """Return the offers, one a line; nothing when anything at all goes wrong."""
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
            signal.signal(signal.SIGALRM, _give_up)
            signal.setitimer(signal.ITIMER_REAL, DEADLINE)
            try:
                for offer in filter(None, super().complete().split("\n")):
                    print(offer)
                sys.stdout.flush()
            except (Exception, SystemExit):  # noqa: BLE001, S110  a shell that asks has no place for messages
                pass
            os._exit(0)  # without waiting for the thread in which a name server does not answer

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the finished words and the unfinished one."""
        words = os.environ["COMP_WORDS"]
        return words.split("\n") if words else [], unquoted(os.environ.get("COMP_CWORD", ""))

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return an offer as our scripts read it."""
        return f"{item.value}\t{'more' if item.more else 'end'}\t{_one_line(item.help or '')}"


@add_completion_class
class Bash(_Completion):
    """Completion in bash."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the finished words and the unfinished one."""
        words, self._typed = split(os.environ["COMP_LINE"])
        return words[1:], unquoted(self._typed)

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return an offer without what bash keeps of the word, quoted as the word has it."""
        value: str = item.value
        end = "more" if item.more else "end"
        if self._typed[:1] in ("'", '"'):  # taken by bash as a whole word, whose quote it closes itself
            return f"{value}\t{end}\t" if _is_plain_in_quotes(value) else ""
        kept = unquoted(self._typed[: _kept(self._typed, os.environ.get("COMP_WORDBREAKS", ""))])
        return f"{_quoted(value[len(kept) :])}\t{end}\t"


@add_completion_class
class Zsh(_Completion):
    """Completion in zsh, which quotes what it inserts."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = ZSH


@add_completion_class
class Fish(_Completion):
    """Completion in fish, which quotes what it inserts."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = FISH


def split(line: str) -> tuple[list[str], str]:
    """Return the finished words of a command line, unquoted, and the unfinished one as it was typed."""
    stream = io.StringIO(line)
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    begin = 0
    with contextlib.suppress(ValueError):  # an open quote: the word goes to the end of the line
        while True:
            begin = stream.tell()
            word = lexer.get_token()
            if word is None or (stream.tell() == len(line) and not line[-1:].isspace()):
                break
            words.append(word)
    return words, line[begin:].lstrip()


def unquoted(word: str) -> str:
    """Return an unfinished word without its quotes, closed or not."""
    if word.endswith("\\") and not word.endswith("\\\\"):
        return unquoted(word[:-1])
    for end in ("", '"', "'"):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(word + end))
    return word


def _kept(typed: str, breaks: str) -> int:
    """Return how many characters of a word bash leaves alone: those up to the last mark at which it splits."""
    kept = place = 0
    while place < len(typed):
        if typed[place] == "\\":
            place += 1
        elif typed[place] in breaks:
            kept = place + 1
        place += 1
    return kept


def _quoted(value: str) -> str:
    """Return *value* so that a shell takes it as one word; nothing in it is ever run."""
    plain = "%+,-./:=@_~"
    return "".join(mark if mark.isalnum() or mark in plain else f"\\{mark}" for mark in value)


def _is_plain_in_quotes(value: str) -> bool:
    return not set(value) & set("\"'$`\\!")


def _one_line(text: str) -> str:
    """Return the first line of a text that may come from far away, short and printable."""
    line = text.strip().partition("\n")[0]
    line = "".join(mark if mark.isprintable() else " " for mark in line)
    return line if len(line) <= 80 else f"{line[:79]}…"
