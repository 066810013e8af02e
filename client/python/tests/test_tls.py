"""Clients and TLS: certificates, and what is said of a connection that fails because of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import grpc
from support import INFO, fake_server

from heimdex_client import AsyncHeimdexClient, HeimdexClient, RetryOptions, TlsOptions, UnreachableError

NAME = "inference.test"
ONCE = RetryOptions(max_attempts=1)


def answer(_request: bytes, _context: Any) -> bytes:
    return INFO


@unittest.skipUnless(shutil.which("openssl"), "openssl makes the certificates")
class TlsTest(unittest.IsolatedAsyncioTestCase):
    directory: Path
    cert: Path
    key: Path

    @classmethod
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = Path(directory.name)
        cls.cert, cls.key = cls.certificate("server", days=1)

    @classmethod
    def certificate(cls, name: str, days: int) -> tuple[Path, Path]:
        """A certificate for NAME that has signed itself; with -1 days it has expired."""
        cert, key, request = (cls.directory / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = cls.directory / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{NAME}")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for arguments in (
            ["req", *curve, "-keyout", key, "-out", request, "-subj", f"/CN={NAME}"],
            ["x509", "-req", "-in", request, "-signkey", key, "-days", str(days), "-extfile", extensions, "-out", cert],
        ):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True)
        return cert, key

    def credentials(self, pair: tuple[Path, Path] | None = None, client: bool = False) -> grpc.ServerCredentials:
        cert, key = pair or (self.cert, self.key)
        chain = cert.read_bytes()
        return grpc.ssl_server_credentials([(key.read_bytes(), chain)], chain if client else None, require_client_auth=client)

    def problem(self, address: str, tls: TlsOptions | None = None) -> tuple[str | None, str]:
        with HeimdexClient(address, tls=tls, retry=ONCE) as client:
            with self.assertRaises(UnreachableError) as caught:
                client.server_info()
        return caught.exception.tls_problem, caught.exception.message

    def test_with_a_client_certificate_and_a_token_that_is_renewed(self) -> None:
        seen: list[dict[str, Any]] = []

        def unary(_request: bytes, context: Any) -> bytes:
            seen.append(dict(context.invocation_metadata()))
            return INFO

        tls = TlsOptions(self.cert, self.cert, self.key, server_name=NAME)
        tokens = iter(["first", "second"])
        with fake_server(unary, credentials=self.credentials(client=True)) as port:
            with HeimdexClient(f"https://127.0.0.1:{port}", tls=tls, token=lambda: next(tokens), priority="bulk") as client:
                client.server_info()
                client.server_info()
        self.assertEqual([metadata["authorization"] for metadata in seen], ["Bearer first", "Bearer second"])
        self.assertEqual(seen[0]["x-heimdex-priority"], "bulk")

    async def test_a_port_that_speaks_tls_is_named(self) -> None:
        with fake_server(answer, credentials=self.credentials()) as port:
            address = f"127.0.0.1:{port}"
            expected = "TLS_REQUIRED", f"{address} cannot be reached: the port speaks TLS: use https://{address}"
            self.assertEqual(self.problem(address), expected)
            async with AsyncHeimdexClient(address, retry=ONCE) as client:
                with self.assertRaises(UnreachableError) as caught:
                    await client.server_info()
            self.assertEqual((caught.exception.tls_problem, caught.exception.message), expected)

    async def test_a_port_that_does_not_speak_tls_is_named(self) -> None:
        with fake_server(answer) as port:
            address = f"127.0.0.1:{port}"
            problem, message = self.problem(f"https://{address}")
            self.assertEqual(problem, "TLS_UNSUPPORTED")
            self.assertIn(f"the port does not speak TLS: use http://{address}", message)

    def test_a_certificate_of_an_unknown_authority_is_named(self) -> None:
        with fake_server(answer, credentials=self.credentials()) as port:
            problem, message = self.problem(f"https://127.0.0.1:{port}", TlsOptions(server_name=NAME))
        self.assertEqual(problem, "CERTIFICATE_UNTRUSTED")
        self.assertRegex(message, r"certificate is not trusted \(self.signed certificate\): give .*TlsOptions\(ca_file=")

    def test_a_certificate_for_another_name_is_named(self) -> None:
        with fake_server(answer, credentials=self.credentials()) as port:
            problem, message = self.problem(f"https://127.0.0.1:{port}", TlsOptions(self.cert))
        self.assertEqual(problem, "CERTIFICATE_NAME")
        self.assertRegex(message, r"for another name: .*TlsOptions\(server_name=")

    def test_an_expired_certificate_is_named(self) -> None:
        pair = self.certificate("expired", days=-1)
        with fake_server(answer, credentials=self.credentials(pair)) as port:
            problem, message = self.problem(f"https://127.0.0.1:{port}", TlsOptions(pair[0], server_name=NAME))
        self.assertEqual(problem, "CERTIFICATE_EXPIRED")
        self.assertIn("not valid today (certificate has expired): renew it", message)

    def test_a_client_certificate_that_is_missing_or_of_another_authority_is_named(self) -> None:
        cert, key = self.certificate("stranger", days=1)
        with fake_server(answer, credentials=self.credentials(client=True)) as port:
            address = f"https://127.0.0.1:{port}"
            missing = self.problem(address, TlsOptions(self.cert, server_name=NAME))
            refused = self.problem(address, TlsOptions(self.cert, cert, key, server_name=NAME))
        self.assertEqual((missing[0], refused[0]), ("CLIENT_CERTIFICATE_REQUIRED", "CLIENT_CERTIFICATE_REFUSED"))
        self.assertIn("pass one as tls=TlsOptions(cert_file=..., key_file=...)", missing[1])

    def test_files_that_are_no_certificate_or_key_in_pem_are_named(self) -> None:
        der = self.directory / "server.der"
        subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "DER", "-out", der], check=True)
        _, other = self.certificate("other", days=1)
        for tls, name in (
            (TlsOptions(ca_file=der), f"ca_file={der}"),
            (TlsOptions(cert_file=der, key_file=self.key), f"cert_file={der}"),
            (TlsOptions(cert_file=self.cert, key_file=other), f"key_file={other}"),
            (TlsOptions(cert_file=self.cert), "key_file=None"),
            (TlsOptions(key_file=self.key), "cert_file=None"),
        ):
            with self.assertRaises(ValueError) as caught:
                HeimdexClient("localhost:8001", tls=tls)
            self.assertIn(name, str(caught.exception))
            self.assertIn("PEM", str(caught.exception))

    def test_a_server_that_is_not_there_is_not_blamed_on_tls(self) -> None:
        with fake_server(answer) as port:
            pass
        for address in (f"127.0.0.1:{port}", f"https://127.0.0.1:{port}"):
            problem, message = self.problem(address)
            self.assertIsNone(problem)
            self.assertIn("Connection refused", message)
