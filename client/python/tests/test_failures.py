"""HeimdexClient and servers in trouble."""

from __future__ import annotations

import threading
import unittest
from collections.abc import Iterator
from typing import Any

import grpc
from support import INFO, SPOKEN_LIVE, cut_off, fake_server, http_proxy, live_speech, refuse

from heimdex_client import (
    ClientClosedError,
    DeadlineExceededError,
    DrainingError,
    HeimdexClient,
    HeimdexError,
    InternalError,
    ModelMismatchError,
    QueueFullError,
    RetryOptions,
    Segment,
    StartingError,
    UnavailableError,
    UnreachableError,
    WorkerLostError,
)
from heimdex_client._proto import common_pb2, embedding_pb2, error_details_pb2, health_pb2, server_info_pb2, speech_pb2, status_pb2
from heimdex_client.errors import make_error
from heimdex_client.retry import Attempts, RetryBudget

QUICK = RetryOptions(initial_delay=0.01, max_delay=0.02)


class RetryTest(unittest.TestCase):
    def call(self, code: grpc.StatusCode, reason: str, retry_after_ms: int | None, failures: int) -> int:
        """How often a call is sent whose first attempts are refused; raises what it ends with."""
        self.calls = 0

        def unary(_request: bytes, context: Any) -> bytes:
            self.calls += 1
            if self.calls <= failures:
                refuse(context, code, reason, retry_after_ms)
            return INFO

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}", retry=QUICK) as client:
            self.assertEqual(client.server_info().version, "1")
        return self.calls

    def test_retries_what_may_be_retried(self) -> None:
        self.assertEqual(self.call(grpc.StatusCode.UNAVAILABLE, "WORKER_LOST", None, failures=2), 3)
        self.assertEqual(self.call(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", 10, failures=2), 3)

    def test_leaves_out_a_delay_that_is_no_time(self) -> None:
        status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="busy")
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay={"seconds": 2**62}))
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason="QUEUE_FULL"))
        error = make_error(status)
        self.assertIsInstance(error, QueueFullError)
        self.assertIsNone(error.retry_after)

    def test_the_status_of_the_call_counts_where_its_details_have_another(self) -> None:
        def unary(_request: bytes, context: Any) -> bytes:
            details = status_pb2.Status()
            details.details.add().Pack(error_details_pb2.ErrorInfo(reason="STARTING"))
            context.set_trailing_metadata([("grpc-status-details-bin", details.SerializeToString())])
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
            return b""

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}", retry=QUICK) as client:
            with self.assertRaises(StartingError) as caught:
                client.server_info()
        self.assertEqual((caught.exception.code, caught.exception.message), ("UNAVAILABLE", "starting"))
        self.assertEqual(caught.exception.attempts, 5)

    def test_does_not_retry_anything_else(self) -> None:
        for code, reason in (
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
            (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST_TWICE"),
            (grpc.StatusCode.INTERNAL, "INTERNAL"),
        ):
            with self.assertRaises(HeimdexError) as caught:
                self.call(code, reason, None, failures=9)
            self.assertEqual((self.calls, caught.exception.reason), (1, reason))
            self.assertIs(type(caught.exception), HeimdexError.by_reason[reason])

    def test_ends_after_max_attempts_with_the_last_error(self) -> None:
        with self.assertRaises(DrainingError) as caught:
            self.call(grpc.StatusCode.UNAVAILABLE, "DRAINING", None, failures=9)
        self.assertEqual((self.calls, caught.exception.attempts), (5, 5))

    def test_does_not_wait_past_the_deadline(self) -> None:
        error = QueueFullError("full", code="RESOURCE_EXHAUSTED", retry_after=10)
        attempts = Attempts(RetryOptions(), RetryBudget(5), 1)
        attempts.start()
        with self.assertRaises(QueueFullError):
            attempts.delay(error)

    def test_of_a_bulk_call_wait_for_a_full_queue_until_its_time_limit(self) -> None:
        full = QueueFullError("full", code="RESOURCE_EXHAUSTED", reason="QUEUE_FULL", retry_after=0.01)
        attempts = Attempts(RetryOptions(), RetryBudget(5), 600, bulk=True)
        for _ in range(100):
            attempts.start()
            self.assertLess(attempts.delay(full), 1)
        lost = WorkerLostError("lost", code="UNAVAILABLE", reason="WORKER_LOST")
        for _ in range(RetryOptions.max_attempts - 1):
            attempts.start()
            attempts.delay(lost)
        attempts.start()
        with self.assertRaises(WorkerLostError):
            attempts.delay(lost)
        with self.assertRaises(QueueFullError):
            Attempts(RetryOptions(), RetryBudget(5), 0, bulk=True).delay(full)
        with self.assertRaises(QueueFullError):
            Attempts(RetryOptions(), RetryBudget(5), None, bulk=True).delay(full, longest=0.01)
        once = Attempts(RetryOptions(max_attempts=1), RetryBudget(1), 600, bulk=True)
        once.start()
        with self.assertRaises(QueueFullError):
            once.delay(full)

    def test_a_thousandth_attempt_waits_no_longer_than_the_longest_delay(self) -> None:
        attempts = Attempts(RetryOptions(max_attempts=3000, max_delay=0.5), RetryBudget(3000), None)
        attempts.count = 1100
        self.assertLessEqual(attempts.delay(UnavailableError("gone", code="UNAVAILABLE")), 0.5)

    def test_a_budget_over_all_calls_ends_retries(self) -> None:
        budget = RetryBudget(5)
        self.assertEqual([budget.failed() for _ in range(5)], [True] * 4 + [False])
        for _ in range(20):
            budget.succeeded()
        self.assertTrue(budget.failed())

    def test_the_budget_lets_one_call_have_all_the_attempts_asked_for(self) -> None:
        budget = RetryBudget(30)
        self.assertEqual([budget.failed() for _ in range(30)], [True] * 29 + [False])


class StreamTest(unittest.TestCase):
    def test_gives_what_is_not_final_yet_of_live_speech(self) -> None:
        with fake_server(stream=live_speech) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            events = list(client.transcribe_stream([b"audio"], live=True))
        self.assertEqual(events[:2], SPOKEN_LIVE)
        self.assertIsInstance(events[2], Segment)

    def test_is_not_retried_once_something_came(self) -> None:
        calls: list[int] = []

        def stream(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            calls.append(0)
            if len(calls) > 1:
                yield speech_pb2.TranscribeStreamResponse(segment={"text": "hi"}).SerializeToString()
            refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")

        with fake_server(stream=stream) as port, HeimdexClient(f"127.0.0.1:{port}", retry=QUICK) as client:
            events = client.transcribe_stream(lambda: [b"audio"])
            self.assertIsInstance(next(events), Segment)
            with self.assertRaises(DrainingError):
                next(events)
            self.assertEqual(len(calls), 2)

    def test_without_a_message_ends_at_its_time_limit(self) -> None:
        done = threading.Event()

        def stream(_requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
            done.wait(30)
            yield b""

        with fake_server(stream=stream) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            with self.assertRaises(DeadlineExceededError) as caught:
                list(client.transcribe_stream(b"audio", timeout=0.2))
            self.assertEqual(caught.exception.reason, "TIMEOUT")
            done.set()


    def test_without_its_summary_was_cut_off(self) -> None:
        with fake_server(stream=cut_off) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            events = client.transcribe_stream(b"audio")
            self.assertIsInstance(next(events), Segment)
            with self.assertRaises(InternalError) as caught:
                next(events)
        self.assertEqual(caught.exception.reason, "MALFORMED_ANSWER")
        self.assertIn("without its summary", caught.exception.message)


    def test_is_not_retried_where_the_server_asks_for_a_longer_wait_than_its_time_limit(self) -> None:
        def stream(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            yield from ()
            refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_after_ms=10**14)

        with fake_server(stream=stream) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            with self.assertRaises(QueueFullError):
                list(client.transcribe_stream(b"audio"))


class OtherVersionTest(unittest.TestCase):
    """A server of another version of the contract."""

    def test_a_status_of_a_later_server_is_unknown(self) -> None:
        later = health_pb2.HealthCheckResponse(status=9)  # type: ignore[arg-type]
        with fake_server(lambda _request, _context: later.SerializeToString()) as port:
            with HeimdexClient(f"127.0.0.1:{port}") as client:
                self.assertEqual(client.health(), "UNKNOWN")

    def test_results_that_are_none_are_an_error_instead_of_empty_vectors(self) -> None:
        vector = {"embedding": {"float32_le": bytes(8)}}
        for results, why in (
            ([{}], "a result without embedding or an error"),
            ([{"embedding": {"values": [1, 0]}}], "a vector of 0 bytes for 2 dimensions"),
            ([], "0 results for 1 inputs"),
            ([vector, vector], "2 results for 1 inputs"),
        ):
            response = embedding_pb2.EmbedTextResponse(results=results, dimensions=2)
            with fake_server(lambda _request, _context: response.SerializeToString()) as port:
                with HeimdexClient(f"127.0.0.1:{port}") as client, self.assertRaises(InternalError) as caught:
                    client.embed_texts(["a"])
            self.assertEqual(caught.exception.reason, "MALFORMED_ANSWER")
            self.assertIn(why, caught.exception.message)

    def test_parts_of_a_batch_by_two_models_are_an_error_that_names_both(self) -> None:
        calls: list[int] = []

        def unary(request: bytes, _context: Any) -> bytes:
            if not request:
                limits = server_info_pb2.Limits(max_batch_items=1)
                return server_info_pb2.GetServerInfoResponse(limits=limits).SerializeToString()
            calls.append(0)
            model = common_pb2.Model(id="org/name", revision=str(len(calls)), variant="q8")
            results: Any = [{"embedding": {"float32_le": bytes(8)}}]
            return embedding_pb2.EmbedTextResponse(results=results, dimensions=2, model=model).SerializeToString()

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            with self.assertRaises(ModelMismatchError) as caught:
                client.embed_texts(["a", "b"])
        error = caught.exception
        self.assertEqual((error.code, error.reason, error.method), ("FAILED_PRECONDITION", "MODEL_MISMATCH", "EmbedText"))
        self.assertIn("org/name@1 q8, org/name@2 q8", error.message)

    def test_limits_that_the_server_does_not_tell_divide_no_batch(self) -> None:
        calls: list[int] = []

        def unary(request: bytes, _context: Any) -> bytes:
            if not request:
                return INFO
            calls.append(len(embedding_pb2.EmbedTextRequest.FromString(request).texts))
            results: Any = [{"embedding": {"float32_le": bytes(8)}}] * calls[-1]
            return embedding_pb2.EmbedTextResponse(results=results, dimensions=2).SerializeToString()

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            self.assertEqual(len(client.embed_texts(["a", "b", "c"]).vectors), 3)
        self.assertEqual(calls, [3])

    def test_a_call_without_a_message_is_an_error_although_its_status_is_ok(self) -> None:
        with fake_server(stream=lambda _requests, _context: iter(())) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            for call in (client.server_info, client.health, lambda: client.embed_texts(["a"]), lambda: client.transcribe(b"a")):
                with self.assertRaises(InternalError) as caught:
                    call()
                self.assertEqual(caught.exception.reason, "MALFORMED_ANSWER")


class ConnectionTest(unittest.TestCase):
    def test_a_call_without_an_answer_ends_at_its_time_limit_and_names_the_failure_before(self) -> None:
        done = threading.Event()
        calls: list[int] = []

        def unary(_request: bytes, context: Any) -> bytes:
            calls.append(0)
            if len(calls) == 2:
                refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")
            if len(calls) > 2:
                done.wait(30)
            return INFO

        timeouts = {"GetServerInfo": 0.5}
        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}", timeouts=timeouts, retry=QUICK) as client:
            client.server_info(timeout=30)  # The refusal below must not wait for a connection.
            with self.assertRaisesRegex(DeadlineExceededError, "in time, after an attempt that failed: draining$") as caught:
                client.server_info()
            self.assertEqual((caught.exception.code, caught.exception.reason), ("DEADLINE_EXCEEDED", "TIMEOUT"))
            done.set()

    def test_the_question_for_the_servers_limits_is_within_the_time_limit(self) -> None:
        left: list[float] = []

        def unary(_request: bytes, context: Any) -> bytes:
            left.append(context.time_remaining())
            refuse(context, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
            return b""

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            with self.assertRaises(HeimdexError):
                client.embed_texts(["a", "b"], timeout=2)
            with self.assertRaises(HeimdexError):
                client.transcribe(bytes(5_000_000), timeout=2)
        self.assertEqual([seconds < 3 for seconds in left], [True, True], left)

    def test_a_server_that_is_not_there_is_named(self) -> None:
        with fake_server(lambda _request, _context: INFO) as port:
            pass
        with HeimdexClient(f"http://127.0.0.1:{port}", retry=QUICK) as client:
            with self.assertRaisesRegex(UnreachableError, f"127.0.0.1:{port} cannot be reached"):
                client.server_info()

    def test_an_answer_that_is_not_of_grpc_is_said_to_be_of_a_proxy_or_another_program(self) -> None:
        for status, code, why in (
            ("415", "UNKNOWN", "Expected gRPC from .*, got HTTP status 415"),
            ("502", "UNAVAILABLE", "Expected gRPC from .*, got HTTP status 502"),
            ("RST 8", "CANCELLED", "ended the call without a status: a proxy that limits the time"),
            ("RST 2", "INTERNAL", "ended the call without a status: a proxy that limits the time"),
            ("RST 11", "RESOURCE_EXHAUSTED", "refused the call as too much for it: its headers, the token among them, are too long"),
            ("no trailers", "UNKNOWN", "ended the call without a status: a proxy that limits the time"),
        ):
            with http_proxy(status) as port, HeimdexClient(f"127.0.0.1:{port}", retry=RetryOptions(max_attempts=1)) as client:
                with self.assertRaisesRegex(HeimdexError, why) as caught:
                    client.server_info()
            self.assertEqual((caught.exception.code, caught.exception.reason), (code, None))

    def test_an_answer_without_trailers_is_known_in_the_words_of_grpcio_before_1_81(self) -> None:
        def unary(_request: bytes, context: Any) -> bytes:
            context.abort(grpc.StatusCode.UNKNOWN, "Stream removed")
            return b""

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            with self.assertRaisesRegex(HeimdexError, "ended the call without a status: a proxy"):
                client.server_info()

    def test_a_call_that_a_proxy_ended_at_its_time_limit_is_not_sent_again(self) -> None:
        def envoy(said: str) -> Any:
            return lambda _request, context: context.abort(grpc.StatusCode.UNAVAILABLE, said)

        for proxy in (
            http_proxy("504"),
            fake_server(envoy("upstream request timeout")),
            fake_server(envoy("stream timeout")),
        ):
            with proxy as port, HeimdexClient(f"127.0.0.1:{port}", retry=QUICK) as client:
                with self.assertRaisesRegex(UnavailableError, f"A proxy at 127.0.0.1:{port} ended GetServerInfo") as caught:
                    client.server_info()
            self.assertEqual((caught.exception.reason, caught.exception.attempts), ("PROXY_TIMEOUT", 1))

    def test_a_closed_client_says_so_before_a_call_and_during_it(self) -> None:
        done, called = threading.Event(), threading.Event()

        def unary(_request: bytes, _context: Any) -> bytes:
            called.set()
            done.wait(30)
            return INFO

        with fake_server(unary) as port:
            client = HeimdexClient(f"127.0.0.1:{port}")
            closing = threading.Thread(target=lambda: (called.wait(30), client.close()))
            closing.start()
            for call in (client.server_info, lambda: client.embed_texts(["a"]), lambda: list(client.transcribe_stream(b"a"))):
                with self.assertRaises(ClientClosedError) as caught:
                    call()
                self.assertEqual((caught.exception.code, caught.exception.reason), ("UNAVAILABLE", "CLOSED"))
            closing.join()
            done.set()

    def test_the_time_of_a_token_function_is_part_of_the_time_limit(self) -> None:
        left: list[float] = []

        def unary(_request: bytes, context: Any) -> bytes:
            left.append(context.time_remaining())
            return INFO

        pause = threading.Event()
        with fake_server(unary) as port:
            with HeimdexClient(f"127.0.0.1:{port}", token=lambda: str(pause.wait(0.15))) as client:
                client.server_info(timeout=9)
        self.assertLess(left[0], 8.9)  # In hundredths on the wire.

    def test_close_is_noticed_after_a_token_function(self) -> None:
        with fake_server(lambda _request, _context: INFO) as port:
            for call in (HeimdexClient.server_info, lambda client: list(client.transcribe_stream(b"a"))):
                closing: HeimdexClient = HeimdexClient(f"127.0.0.1:{port}", token=lambda: str(closing.close()))
                with self.assertRaises(ClientClosedError):
                    call(closing)

    def test_close_ends_the_wait_before_another_attempt(self) -> None:
        refused = threading.Event()

        def unary(_request: bytes, context: Any) -> None:
            context.add_callback(refused.set)
            refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", 3_600_000)

        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            closing = threading.Thread(target=lambda: (refused.wait(30), client.close()))
            closing.start()
            with self.assertRaises(ClientClosedError):
                client.server_info(timeout=float("inf"))
            closing.join()
