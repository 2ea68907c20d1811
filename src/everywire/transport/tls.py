"""TLS contexts from an address's `cert`, `key` and `ca`, and the name in a verified certificate; opens no connection.

TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only. A dialer always verifies the listener, by `ca`
or the system's authorities; a listener with `ca` demands and verifies a client certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from everywire.errors import AddressError, LinkError
from everywire.transport.address import Address

HANDSHAKE_TIMEOUT: Final = 5.0
"""Seconds a TLS handshake may take (QSslServer has the same)."""

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2; without the CBC suites that Python's default keeps
_SHORT: Final[Mapping[str, str]] = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
"""OpenSSL's long names and those of RFC 4514 section 3; others keep OpenSSL's."""


def listening_context(address: Address) -> ssl.SSLContext:
    """What `accept` needs; AddressError without `cert`, LinkError for files that cannot be used. Reads files."""
    if "cert" not in address.settings:
        raise AddressError(f"{address} needs a certificate to listen: add ?cert=FILE&key=FILE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _load_own(context, address)
    if "ca" in address.settings:
        _load_authorities(context, address)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def dialing_context(address: Address) -> ssl.SSLContext:
    """What `dial` needs: the listener's name is always checked. LinkError for unusable files. Reads files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if "ca" in address.settings:
        _load_authorities(context, address)
    else:
        context.load_default_certs()
    if "cert" in address.settings:
        _load_own(context, address)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)


def _load_own(context: ssl.SSLContext, address: Address) -> None:
    cert = address.settings["cert"]
    key = address.settings.get("key")

    def no_password() -> str:
        # Without this OpenSSL would ask on the terminal and stop the loop.
        raise LinkError(f"the private key {key or cert} is encrypted; give one without a pass phrase, of mode 0600")

    try:
        context.load_cert_chain(cert, key, no_password)
    except LinkError:
        raise
    except ssl.SSLError as error:
        reason = "they are not PEM files with a certificate and the private key that belongs to it"
        raise LinkError(f"cannot use the certificate {cert} with the key {key or cert}: {reason}") from error
    except OSError as error:
        raise LinkError(f"cannot read the certificate {cert} or its key {key or cert}: {error.strerror}") from error


def _load_authorities(context: ssl.SSLContext, address: Address) -> None:
    ca = address.settings["ca"]
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise LinkError(f"cannot use the authorities in {ca}: it holds no PEM certificate") from error
    except OSError as error:
        raise LinkError(f"cannot read the authorities in {ca}: {error.strerror}") from error


def was_refused(tls: ssl.SSLObject) -> bool:
    """Whether a dialer that heard nothing was refused by its listener after its own half of the handshake.

    In TLS 1.3 the client is done before the listener has seen its certificate, and asyncio's listener hangs up without
    the alert that RFC 8446 section 4.4.2.4 asks for. But one that accepts sends session tickets first.
    """
    session = tls.session
    return not tls.server_side and tls.version() == "TLSv1.3" and (session is None or not session.has_ticket)


def subject_text(certificate: Mapping[str, Any] | None) -> str | None:
    """The subject of a certificate as `ssl.SSLSocket.getpeercert` describes it, as RFC 4514 text: last part first."""
    if not certificate or not certificate.get("subject"):
        return None
    subject: Sequence[Sequence[tuple[str, str]]] = certificate["subject"]
    names = (
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in rdn) for rdn in reversed(subject)
    )
    return ",".join(names)


def _escaped(value: str) -> str:
    """RFC 4514 section 2.4."""
    text = "".join(f"\\{char}" if char in '"+,;<>\\' else "\\00" if char == "\0" else char for char in value)
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    if text.endswith(" ") and len(value) > 1:
        text = f"{text[:-1]}\\ "
    return text
