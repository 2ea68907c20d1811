"""How a peer and a test talk: lines of JSON over standard input and output, with D-Bus values as Python literals.

A request `{"id": 1, "do": "verb", …}` runs `do_verb(…)` of an actor. A literal keeps apart what JSON cannot: tuples
(structures), bytes, integers as keys. A failed call is a result too: `{"raised": [name, message]}`.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import traceback
from typing import Any

INTERFACE = "org.acme.Plant.Boiler1"
"""The interface of the object that every peer offers and uses; on a connection without a bus too."""
SERVICE = "org.acme.Plant"
PATH = "/org/acme/Plant/boiler"
REFUSED = "org.acme.Plant.Error.Refused"


def say(**facts: Any) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def meant(literal: str) -> Any:
    """The value that a test spelt out."""
    return ast.literal_eval(literal)


def returned(values: Any) -> dict[str, str]:
    """The result of a call that succeeded."""
    return {"returned": repr(values)}


def raised(name: str, message: str) -> dict[str, list[str]]:
    """The result of a call that failed."""
    return {"raised": [name, message]}


class Ear:
    """Reads requests from standard input; `readable` is to be called when there is something."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._rest = b""

    def readable(self) -> bool:
        """Run what was asked; return whether the test still wants us."""
        data = os.read(0, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))
        return bool(data)

    def obey(self, request: dict[str, Any]) -> None:
        """Run one request and answer it."""
        number, verb = request.pop("id"), request.pop("do")
        try:
            result = getattr(self._actor, f"do_{verb}")(**request)
        except Exception:  # noqa: BLE001  the test reports it
            say(id=number, error=traceback.format_exc())
        else:
            say(id=number, result=result)
