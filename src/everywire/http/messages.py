"""The messages of a WebSocket, and of an event stream, as JSON and back; pure, and ignorant of what is called by whom.

A host tells (`Told`), a replica asks (`Asked`). Each message has one verb, the key that says what it is about, and
that verb's other keys; unknown keys are ignored, so that later versions may add some. The page docs/wires/http.md
shows them all.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from everywire.codec.json import SAFE, encode
from everywire.errors import Code, Fault

SUBPROTOCOL: Final = "everywire.v1"
"""The WebSocket subprotocol (RFC 6455 section 1.9) of these messages."""

# Codes of RFC 6455 section 7.4.1, and of IANA's registry.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009

Number = Annotated[int, msgspec.Meta(ge=0, le=SAFE)]
"""What identifies a call or a stream to both sides: whole and exact in JavaScript too."""


class Asked(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a replica asks of its host; exactly one of the first six is set."""

    call: Number | UnsetType = UNSET
    push: Number | UnsetType = UNSET
    cancel: Number | UnsetType = UNSET
    open: Number | UnsetType = UNSET
    grant: Number | UnsetType = UNSET
    close: Number | UnsetType = UNSET
    slot: str = ""
    arguments: list[Any] | dict[str, Any] = []
    property: str = ""
    value: Any = UNSET
    items: Number = 0


class Told(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a host tells a replica; exactly one of the first nine is set."""

    contract: msgspec.Raw | UnsetType = UNSET
    changed: str | UnsetType = UNSET
    emitted: str | UnsetType = UNSET
    answered: Number | UnsetType = UNSET
    failed: Number | UnsetType = UNSET
    item: Number | UnsetType = UNSET
    ended: Number | UnsetType = UNSET
    gap: Number | UnsetType = UNSET
    withdrawn: str | UnsetType = UNSET
    values: dict[str, Any] = {}
    value: Any = UNSET
    arguments: list[Any] = []
    code: str = ""
    message: str = ""
    may_have_run: bool = True

    @property
    def fault(self) -> Fault | None:
        """Why a call failed or a stream was broken off, if it was; a code of a later version is UNKNOWN."""
        if not self.code and self.failed is UNSET:
            return None
        code = Code[self.code] if self.code in Code.__members__ else Code.UNKNOWN
        return Fault(code, self.message, may_have_run=self.may_have_run)


class Broken(msgspec.Struct, frozen=True):
    """The peer broke the protocol: the code and the reason with which its WebSocket is closed."""

    code: int
    reason: str


ASKS: Final = ("call", "push", "cancel", "open", "grant", "close")
TELLS: Final = ("contract", "changed", "emitted", "answered", "failed", "item", "ended", "gap", "withdrawn")

_ASKED: Final = msgspec.json.Decoder(Asked)
_TOLD: Final = msgspec.json.Decoder(Told)


def read_asked(text: bytes | str) -> Asked | Broken:
    """Return what a replica asks for."""
    found: Asked | Broken = _read(_ASKED, text, ASKS)
    return found


def read_told(text: bytes | str) -> Told | Broken:
    """Return what a host tells."""
    found: Told | Broken = _read(_TOLD, text, TELLS)
    return found


def _read(decoder: Any, text: bytes | str, verbs: tuple[str, ...]) -> Any:
    try:
        message = decoder.decode(text)
    except msgspec.ValidationError as error:
        return Broken(PROTOCOL_ERROR, f"not a message of {SUBPROTOCOL}: {error}")
    except (msgspec.DecodeError, RecursionError) as error:
        return Broken(INVALID_DATA, f"not JSON: {error}")
    if all(getattr(message, verb) is UNSET for verb in verbs):
        return Broken(PROTOCOL_ERROR, f"a message without a verb: it needs one of {', '.join(verbs)}")
    return message


def ask(**parts: Any) -> bytes:
    """Return a message of a replica, made of the fields of `Asked`."""
    return encode(Asked(**parts))


def tell(**parts: Any) -> bytes:
    """Return a message of a host, made of the fields of `Told`."""
    return encode(Told(**parts))


def tell_fault(number: int, fault: Fault) -> bytes:
    """Return the message that answers a call with *fault*."""
    return encode({"failed": number, **_words(fault)})


def tell_broken_off(number: int, fault: Fault) -> bytes:
    """Return the message that ends a stream with *fault*: calls and streams are counted apart."""
    return encode({"ended": number, **_words(fault)})


def _words(fault: Fault) -> dict[str, Any]:
    return {"code": fault.code.name, "message": fault.message, "may_have_run": fault.may_have_run}
