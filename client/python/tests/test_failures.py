"""HeimdexClient and servers in trouble."""

from __future__ import annotations

import io
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from support import SPOKEN_LIVE, fake_server, http_proxy, live_speech, refuse

from heimdex_client import (
    ClientClosedError,
    DeadlineExceededError,
    DrainingError,
    HeimdexClient,
    HeimdexError,
    InternalError,
    QueueFullError,
    RawAudio,
    RetryOptions,
    Segment,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from heimdex_client._proto import embedding_pb2, error_details_pb2, health_pb2, server_info_pb2, speech_pb2, status_pb2
from heimdex_client.errors import make_error
from heimdex_client.retry import Attempts, RetryBudget

QUICK = RetryOptions(initial_delay=0.01, max_delay=0.02)
INFO = server_info_pb2.GetServerInfoResponse(version="1").SerializeToString()


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


class ConnectionTest(unittest.TestCase):
    def test_a_call_without_an_answer_ends_at_its_time_limit_and_names_the_failure_before(self) -> None:
        done = threading.Event()
        refusals = ["DRAINING"]

        def unary(_request: bytes, context: Any) -> bytes:
            if refusals:
                refuse(context, grpc.StatusCode.UNAVAILABLE, refusals.pop())
            done.wait(30)
            return INFO

        timeouts = {"GetServerInfo": 0.2}
        with fake_server(unary) as port, HeimdexClient(f"127.0.0.1:{port}", timeouts=timeouts, retry=QUICK) as client:
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
        ):
            with http_proxy(status) as port, HeimdexClient(f"127.0.0.1:{port}", retry=RetryOptions(max_attempts=1)) as client:
                with self.assertRaisesRegex(HeimdexError, why) as caught:
                    client.server_info()
            self.assertEqual((caught.exception.code, caught.exception.reason), (code, None))

    def test_a_call_that_a_proxy_ended_at_its_time_limit_is_not_sent_again(self) -> None:
        def envoy(_request: bytes, context: Any) -> bytes:
            context.abort(grpc.StatusCode.UNAVAILABLE, "upstream request timeout")

        for proxy in (http_proxy("504"), fake_server(envoy)):
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

    def test_the_time_of_a_token_function_counts_and_close_is_noticed_after_it(self) -> None:
        done = threading.Event()

        def unary(_request: bytes, _context: Any) -> bytes:
            done.wait(30)
            return INFO

        with fake_server(unary) as port:
            with HeimdexClient(f"127.0.0.1:{port}", token=lambda: str(done.wait(0.02))) as client:
                with self.assertRaises(DeadlineExceededError):
                    client.server_info(timeout=0.01)
            done.set()
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

    def test_a_time_limit_may_be_infinite_but_neither_negative_nor_no_number(self) -> None:
        with fake_server(lambda _request, _context: INFO) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            self.assertEqual(client.server_info(timeout=float("inf")).version, "1")
            for wrong in (-1, float("nan")):
                with self.assertRaisesRegex(ValueError, f"Expected timeout to be 0 or more seconds, got {wrong}"):
                    client.server_info(timeout=wrong)
                with self.assertRaisesRegex(ValueError, r"timeouts\['EmbedText'\]"):
                    HeimdexClient(timeouts={"EmbedText": wrong})
            text: Any = "5"
            with self.assertRaisesRegex(TypeError, "Expected timeout to be a number of seconds, got '5'"):
                client.server_info(timeout=text)

    def test_a_value_that_does_not_fit_its_field_is_named(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            with self.assertRaisesRegex(ValueError, "Invalid max_faces, got -1: Value out of range"):
                client.detect_faces([b"image"], max_faces=-1)
            with self.assertRaisesRegex(TypeError, "Invalid beam_size, got 1.5"):
                client.transcribe(b"audio", beam_size=1.5)  # type: ignore[arg-type]
            with self.assertRaisesRegex(ValueError, "Invalid sample_rate_hz, got -1"):
                client.transcribe(b"audio", raw=RawAudio("pcm_s16le", -1))

    def test_another_word_for_errors_is_refused(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            for call in (client.embed_images, client.embed_texts, client.detect_faces):
                with self.assertRaisesRegex(ValueError, "Expected errors to be 'return' or 'raise', got 'strict'"):
                    call([], errors="strict")  # type: ignore[operator]

    def test_one_image_is_no_list_of_images(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            for one in ("coffee.png", b"image", Path("coffee.png"), io.BytesIO(b"image")):
                for call in (client.embed_images, client.detect_faces):
                    with self.assertRaisesRegex(TypeError, "Expected images to be a list of images, got one image"):
                        call(one)  # type: ignore[arg-type]

    def test_a_text_an_image_or_audio_of_another_type_is_named(self) -> None:
        content = "Expected the bytes of a file, its path or the file opened with 'rb', got "
        with HeimdexClient("127.0.0.1:1") as client:
            for wrong, name in ((None, "None"), (b"snow", "b'snow'"), (7, "7"), (float("nan"), "nan")):
                with self.assertRaisesRegex(TypeError, rf"Expected texts\[1\] to be a str, got {name}"):
                    client.embed_texts(["snow", wrong])  # type: ignore[list-item]
            with self.assertRaisesRegex(ValueError, r"Expected texts\[1\] to be Unicode: .* in position 100000") as caught:
                client.embed_texts(["snow", "a" * 100_000 + "\ud800"])
            with self.assertRaisesRegex(TypeError, r"Expected texts\[0\] to be a str, got b'a") as other:
                client.embed_texts([b"a" * 100_000])  # type: ignore[list-item]
            self.assertLess(max(len(str(error.exception)) for error in (caught, other)), 200)
            with self.assertRaisesRegex(TypeError, "Expected texts to be a list of texts, got None"):
                client.embed_texts(None)  # type: ignore[arg-type]
            with self.assertRaisesRegex(TypeError, "Expected images to be a list of images, got 7"):
                client.embed_images(7)  # type: ignore[arg-type]
            for one, kind in ((None, "NoneType"), (7, "int"), ([b"a"], "list"), (io.StringIO("a"), "a StringIO of text")):
                with self.assertRaisesRegex(TypeError, content + kind):
                    client.transcribe(one)  # type: ignore[arg-type]
                for call in (client.embed_images, client.detect_faces):
                    with self.assertRaisesRegex(TypeError, content + kind):
                        call([b"image", one])  # type: ignore[list-item]

    def test_an_address_is_read_as_the_other_client_reads_it(self) -> None:
        for address, target, secure in (
            ("server", "server:8001", False),
            (" HTTPS://server ", "server:8001", True),
            ("http://[::1]:1/", "[::1]:1", False),
            ("dns:///server:65535", "dns:///server:65535", False),
            ("unix:/run/heimdex.sock", "unix:/run/heimdex.sock", False),
        ):
            settings = HeimdexClient(address)._settings
            self.assertEqual((settings.target, settings.secure), (target, secure))
        for wrong in ("", "server:0", "server:99999", "http://server:1/path", "ftp://server", "::1", "unix:"):
            with self.assertRaisesRegex(ValueError, f"Expected an address such as localhost:8001.* got '{wrong}'"):
                HeimdexClient(wrong)

    def test_a_token_or_header_that_cannot_be_sent_is_named_and_not_shown(self) -> None:
        with HeimdexClient("127.0.0.1:1", token="secret\n") as client:
            with self.assertRaisesRegex(UnauthenticatedError, "^no token: it contains a line break") as caught:
                client.server_info()
            self.assertEqual(caught.exception.reason, "NO_TOKEN")
        for name, value in (("x y", "a"), ("x-name", "\uac00"), ("x-line", "a\nb"), ("x-number", 5)):
            with self.assertRaisesRegex(ValueError, f"^Invalid header {name}: expected a single line of plain text"):
                HeimdexClient(headers={name: value})  # type: ignore[dict-item]

    def test_contradictory_settings_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "tls is False"):
            HeimdexClient("https://server:8001", tls=False)
        with self.assertRaisesRegex(ValueError, "Expected priority to be 'interactive' or 'bulk', got 'low'"):
            HeimdexClient(priority="low")  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "got Embed"):
            HeimdexClient(timeouts={"Embed": 1})
