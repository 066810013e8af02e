"""Whether a connection failed because of TLS, and what to do about it."""

from __future__ import annotations

import re
import socket
import ssl

from .options import PathLike

_PROBE_SECONDS = 1.0

# How gRPC says that a connection was made and then ended: after TCP alone, or after the TLS handshake.
_ENDED = re.compile(r"Socket closed|Connection reset|recvmsg|Unwrap failed|Broken pipe")
_NOT_TLS = re.compile(r"WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE|UNEXPECTED_RECORD")
_VERIFY_FAILED = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([^:]*)")
_ADDRESS = re.compile(r"(?:dns:(?:///)?|ipv[46]:)?\[?([^/\]]*?)\]?:(\d+)")


def check_files(ca_file: PathLike | None, cert_file: PathLike | None, key_file: PathLike | None) -> None:
    """Raises ValueError that names files without a certificate, or without its key, in PEM: gRPC would only fail to connect."""
    pair = f"cert_file={cert_file} and key_file={key_file} to be a certificate and its private key in PEM, without a password"
    if (cert_file is None) != (key_file is None):
        raise ValueError(f"Expected {pair}, both or neither")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expected = f"ca_file={ca_file} to have certificates in PEM"
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        expected = pair
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file, password="")  # Without one it would ask for it.
    except ssl.SSLError as error:
        raise ValueError(f"Expected {expected}: {error}") from None


def tls_problem(details: str, target: str, secure: bool, has_certificate: bool) -> tuple[str, str] | None:
    """The name of the problem and what to do, from the details of a call that found no connection.

    Without TLS, a connection that the server ended is tried again with a handshake, for at most a second.
    """
    if not secure:
        if _ENDED.search(details) and _speaks_tls(target):
            return "TLS_REQUIRED", f"the port speaks TLS: use https://{target}"
        return None
    if _NOT_TLS.search(details):
        return "TLS_UNSUPPORTED", f"the port does not speak TLS: use http://{target}"
    if "Hostname Verification Check failed" in details:
        return (
            "CERTIFICATE_NAME",
            "its certificate is for another name: use the certificate's name in the address, or give it as "
            "tls=TlsOptions(server_name=...)",
        )
    if failed := _VERIFY_FAILED.search(details):
        why = failed[1].strip()
        if "expired" in why or "not yet valid" in why:
            return (
                "CERTIFICATE_EXPIRED",
                f"its certificate is not valid today ({why}): renew it, and check the clocks of both machines",
            )
        return (
            "CERTIFICATE_UNTRUSTED",
            f"its certificate is not trusted ({why}): give its authority's certificate as tls=TlsOptions(ca_file=...)",
        )
    if _ENDED.search(details):
        if has_certificate:
            return (
                "CLIENT_CERTIFICATE_REFUSED",
                "the server ended the connection after it got the client certificate: give one as "
                "tls=TlsOptions(cert_file=..., key_file=...) that an authority of its TLS_CLIENT_CA_FILE has signed",
            )
        return (
            "CLIENT_CERTIFICATE_REQUIRED",
            "the server ended the connection after the TLS handshake, which usually means that it requires a client "
            "certificate: pass one as tls=TlsOptions(cert_file=..., key_file=...)",
        )
    return None


def _speaks_tls(target: str) -> bool:
    """Whether a TLS handshake gets as far as the server's certificate. It is not verified: nothing is sent."""
    found = _ADDRESS.fullmatch(target)
    if found is None:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((found[1], int(found[2])), timeout=_PROBE_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname=found[1] or None):
                return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
