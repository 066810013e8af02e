from __future__ import annotations

import threading
import unittest
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from heimdex_client import HeimdexClient, UnreachableError
from heimdex_client._proto import health_pb2, server_info_pb2
from support import fake_server


class _Server:
    """A server that tells its name, and its health to those who watch it."""

    def __init__(self, name: str) -> None:
        self._info = server_info_pb2.GetServerInfoResponse(version=name).SerializeToString()
        self._changed = threading.Condition()
        self._serving = True
        self._ended = False

    def serve(self, serving: bool) -> None:
        with self._changed:
            self._serving = serving
            self._changed.notify_all()

    def _watch(self, _request: bytes, _context: Any) -> Iterator[bytes]:
        told = None
        while not self._ended:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._serving != told)
                told = self._serving
            yield health_pb2.HealthCheckResponse(status="SERVING" if told else "NOT_SERVING").SerializeToString()

    @contextmanager
    def started(self) -> Iterator[str]:
        with fake_server(lambda _request, _context: self._info, watch=self._watch) as port:
            try:
                yield f"127.0.0.1:{port}"
            finally:
                self._ended = True
                self.serve(False)


class SeveralServersTest(unittest.TestCase):
    def test_calls_go_in_turn_to_the_servers_that_are_healthy(self) -> None:
        a, b = _Server("a"), _Server("b")
        with a.started() as first, b.started() as second, HeimdexClient([first, second]) as client:

            def answering(names: set[str]) -> Counter[str]:
                """The answers of ten calls, as soon as these servers answer them."""
                while True:
                    answers = Counter(client.server_info().version for _ in range(10))
                    if answers.keys() == names:
                        return answers

            answering({"a", "b"})  # Now both are connected.
            self.assertEqual(answering({"a", "b"}), {"a": 5, "b": 5})
            a.serve(False)
            answering({"b"})
            a.serve(True)
            answering({"a", "b"})
            b.serve(False)
            answering({"a"})
            a.serve(False)
            with self.assertRaises(UnreachableError) as caught:
                while True:
                    client.server_info(timeout=1)
            self.assertIn("backend unhealthy", caught.exception.message)

    def test_a_server_without_the_health_service_counts_as_healthy(self) -> None:
        info = server_info_pb2.GetServerInfoResponse(version="old").SerializeToString()
        with fake_server(lambda _request, _context: info) as port:
            with HeimdexClient(f"dns:///localhost:{port}") as client:
                self.assertEqual(client.server_info().version, "old")

    def test_several_names_are_refused_with_what_is_expected(self) -> None:
        for addresses in (["a:8001", "b:8001"], ["127.0.0.1:1", "[::1]:1"], ["https://127.0.0.1:1", "127.0.0.1:2"], []):
            with self.assertRaisesRegex(ValueError, "IP addresses, .*or one name for all: dns:///name:8001, got"):
                HeimdexClient(addresses)
