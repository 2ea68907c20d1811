"""Turns what the operating system and OpenSSL say into LinkErrors that tell what to do; decides nothing."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Final

from everywire.errors import LinkError

_DIAL_ADVICE: Final[Mapping[int, str]] = {
    errno.ENOENT: "no such name; start the host first, and check that both sides have the same TMPDIR",
    errno.ECONNREFUSED: "nobody listens there; start the host first",
    errno.EACCES: "this user may not connect to it; run as the user that listens",
    errno.EPERM: "this user may not connect to it; run as the user that listens, or ask the firewall",
    errno.EHOSTUNREACH: "the host cannot be reached; check the address and the network",
    errno.ENETUNREACH: "no route leads to that network; check the address and the network",
    errno.ETIMEDOUT: "the host did not answer; check the address and the firewall",
    errno.EMFILE: "this process has no file descriptors left; raise its limit (ulimit -n)",
    errno.EPROTOTYPE: "something else than a byte stream listens under that name",
    errno.ENOTSOCK: "that is a file, not a socket; choose another name",
}
_LOSS: Final[Mapping[int, str]] = {
    errno.ECONNRESET: "the peer cut the connection",
    errno.EPIPE: "the peer had closed the connection",
    errno.ECONNABORTED: "the connection was cut",
    errno.ETIMEDOUT: "the peer no longer answers",
}
_NO_TLS: Final = "the peer does not speak TLS; use tcp:// or http://, or another port"
_TLS_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    ("CERTIFICATE_REQUIRED", "the listener wants a client certificate; add cert=FILE&key=FILE to the address"),
    ("UNKNOWN_CA", "the peer does not trust our certificate; give it the authority that signed ours with ca=FILE"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer showed no certificate, which ca= demands"),
    ("BAD_CERTIFICATE", "the peer refused our certificate; check cert=FILE and the authority that signed it"),
    ("ALERT_HANDSHAKE_FAILURE", "the peer refused the handshake; it may want a client certificate: cert=FILE&key=FILE"),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("RECORD_LAYER_FAILURE", _NO_TLS),
    ("HTTP_REQUEST", "the peer speaks plain HTTP to a TLS port"),
    ("UNEXPECTED_EOF", "the peer hung up within the handshake; see its log, it may want a client certificate"),
    ("UNSUPPORTED_PROTOCOL", "the peer offers no TLS 1.2 or newer"),
    ("PROTOCOL_VERSION", "the peer accepts none of TLS 1.2 and 1.3"),
)


def dial_failed(address: object, error: BaseException, timeout: float) -> LinkError:
    """Why no connection to `address` came about."""
    if isinstance(error, ssl.SSLError):
        return LinkError(f"no TLS connection to {address}: {tls_reason(error)}")
    if isinstance(error, TimeoutError) and not error.errno:
        return LinkError(f"no connection to {address}: no answer in {timeout:g} s; check the address and firewall")
    if isinstance(error, socket.gaierror):
        return LinkError(f"no connection to {address}: the host name is unknown ({error.strerror}); check its spelling")
    if isinstance(error, ConnectionAbortedError) and "handshake" in str(error):  # both loops say so, without a number
        return LinkError(f"no TLS connection to {address}: the peer accepted, but did not answer; it may not speak TLS")
    if isinstance(error, OSError):
        number = error.errno or 0
        reason = _DIAL_ADVICE.get(number) or (os.strerror(number) if number else str(error))
        return LinkError(f"no connection to {address}: {reason}")
    return LinkError(f"no connection to {address}: {error}")


def link_lost(transport: str, error: BaseException) -> LinkError:
    """Why an established connection ended."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, ssl.SSLError):
        reason = tls_reason(error)
    elif isinstance(error, OSError):
        number = error.errno or 0
        reason = _LOSS.get(number) or (os.strerror(number) if number else str(error) or type(error).__name__)
    else:
        reason = f"its receiver failed with {type(error).__name__}"
    lost = LinkError(f"{transport} connection lost: {reason}")
    lost.__cause__ = error
    return lost


def not_taken(transport: str, unsent: int) -> LinkError:
    """The peer did not take the last bytes of a closing connection in time."""
    return LinkError(f"{transport} connection cut while closing: the peer did not take the last {unsent} bytes")


def refused_after_handshake() -> LinkError:
    """The listener hung up where it checks certificates; see `tls.was_refused`."""
    return LinkError(
        "tls connection lost: the listener hung up on us; if it demands client certificates, "
        "add cert=FILE&key=FILE of an authority that it knows"
    )


def refused_certificate(error: BaseException) -> str:
    """What a listener had against its peer's certificate; empty when the handshake failed for another reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    missing = isinstance(error, ssl.SSLError) and "PEER_DID_NOT_RETURN_A_CERTIFICATE" in (error.reason or "")
    return "no certificate" if missing else ""


def tls_reason(error: ssl.SSLError) -> str:
    """What a failed handshake means, with advice where there is any."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}; give its authority with ca=FILE"
    text = error.reason or str(error)
    return next((advice for mark, advice in _TLS_ADVICE if mark in text), f"{text.lower().replace('_', ' ')}")
