"""Where a room is, and that it is the one: addresses, and certificates known by their fingerprint."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import ssl
from urllib.parse import urlsplit

from mien.core.errors import ConfigError, RoomError

TIMEOUT = 5.0
"""Seconds to reach a room."""


class UnreachableError(RoomError):
    """No answer, or none that a room would give."""


def check_address(address: str, *, plain: bool = False) -> str:
    """A room's address, without a path.

    Raises:
        ConfigError: it is none, or unencrypted and not of this machine without ``plain``.
    """
    parts = urlsplit(address.strip())
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None or parts.username:
        raise ConfigError(f"'{address}' is no address of a room; expected https://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme == "http" and not plain and not _is_this_machine(parts.hostname):
        raise ConfigError(
            f"'{address}' is not encrypted: everybody on the network could read what is sent. Ask for an https address "
            "with its fingerprint, or allow it explicitly"
        )
    return f"{parts.scheme}://{host}:{port}"


def check_fingerprint(words: str) -> str:
    """A sha256 of 64 hexadecimal digits, without colons and spaces.

    Raises:
        ConfigError: it is none.
    """
    digits = re.sub(r"[:\s]", "", words).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ConfigError("a fingerprint is a sha256: 64 hexadecimal digits, with or without colons")
    return digits


def fingerprint_of(pem: str) -> str:
    """The sha256 of a certificate, by which participants know it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def pinned(address: str, fingerprint: str) -> ssl.SSLContext:
    """A context that trusts the one certificate of this fingerprint, and nothing else.

    Raises:
        RoomError: the room cannot be reached, or shows another certificate.
    """
    parts = urlsplit(address)
    try:
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise UnreachableError(f"{address}: the room cannot be reached ({type(error).__name__})") from None
    if not hmac.compare_digest(fingerprint_of(pem), fingerprint):
        raise RoomError(
            f"{address}: shows another certificate than the fingerprint that you were given; somebody may be listening"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=pem)
    # The certificate itself is the trust anchor, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
