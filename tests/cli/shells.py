"""Real shells that complete words: text is typed at a prompt, Tab is pressed, and the line is read back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cli.terminal import Terminal

TAB: Final = "\t"
SHOW: Final = "\x18p"
"""Control-X p, bound to what prints the line and clears it."""

BASH: Final = r"""
PS1='> '; unset HISTFILE
bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'
bind 'set completion-query-items 0'; bind 'set page-completions off'; bind 'set enable-bracketed-paste off'
bind -x '"\C-xp": printf "\nLI%sNE<%s>\n" "" "$READLINE_LINE"; READLINE_LINE='
eval "$(everywire completion bash)"
printf 'REA%s\n' DY
"""
ZSH: Final = r"""
PS1='> '; unset HISTFILE; unsetopt beep list_beep prompt_sp zle_bracketed_paste; LISTMAX=0; bindkey -e
autoload -Uz compinit && compinit -u -D
show() { zle -I; print -r -- "LI""NE<$BUFFER>"; BUFFER= }
zle -N show; bindkey '^Xp' show
eval "$(everywire completion zsh)"
print -r -- REA""DY
"""


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """Our command first on the PATH, and nothing of the person who runs the tests."""
    scripts = str(Path(sys.executable).parent)
    private = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "ZDOTDIR"), str(folder))
    return {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", **private, **more}


class Interactive:
    """bash or zsh at its prompt."""

    def __init__(self, shell: str, folder: Path, **more: str) -> None:
        options, setup = {"bash": (("--norc", "--noprofile", "-i"), BASH), "zsh": (("-f", "-i"), ZSH)}[shell]
        file = folder / "setup"
        file.write_text(setup)
        self.terminal = Terminal((shell, *options), columns=200, environment=environment(folder, **more))
        self.terminal.type(f". {file}\n")
        self.terminal.read_until("READY")

    def complete(self, text: str) -> str:
        """Return the line after Tab was pressed behind *text*."""
        return self._shown(text)[0]

    def listed(self, text: str) -> set[str]:
        """Return the words that the shell lists when Tab does not decide."""
        before = self._shown(text)[1]
        return set(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", before).split())

    def _shown(self, text: str) -> tuple[str, str]:
        self.terminal.type(text + TAB + SHOW)
        read = self.terminal.read_until(r"LINE<[^>\r\n]*>")
        line = re.findall(r"LINE<([^>\r\n]*)>", read)[-1]
        return line, read.rpartition("LINE<")[0]


def fish(folder: Path, line: str, **more: str) -> dict[str, str]:
    """Return what fish offers for *line*, with the descriptions."""
    program = f"everywire completion fish | source; complete --do-complete {quoted(line)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env={**environment(folder, **more)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stderr == ""
    return {value: text for value, _, text in (offer.partition("\t") for offer in done.stdout.splitlines())}


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def installed(*shells: str) -> list[str]:
    return [shell for shell in shells if shutil.which(shell)]
