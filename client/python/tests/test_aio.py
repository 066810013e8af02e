"""AsyncHeimdexClient on a real server, and on one that is in trouble."""

from __future__ import annotations

import asyncio
import threading
import time
import unittest
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from support import (
    ADDRESS,
    ELEPHANT,
    SAID,
    SPEECH,
    SPOKEN_LIVE,
    TWO_FACES,
    collecting,
    cut_off,
    fake_server,
    live_speech,
    padded_flac,
    refuse,
)

from heimdex_client import (
    AsyncHeimdexClient,
    ClientClosedError,
    DeadlineExceededError,
    HeimdexError,
    ImageUnreadableError,
    InternalError,
    RetryOptions,
    Segment,
    TranscribeSummary,
    UnavailableError,
)
from heimdex_client._proto import embedding_pb2, speech_pb2


class AsyncClientTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_closed_client_says_so(self) -> None:
        client = AsyncHeimdexClient(ADDRESS)
        await client.close()
        with self.assertRaises(ClientClosedError):
            await client.embed_texts(["a"])
        with self.assertRaises(ClientClosedError):
            await anext(client.transcribe_stream(b"audio"))

    async def test_a_client_of_another_event_loop_says_so(self) -> None:
        async def made() -> AsyncHeimdexClient:
            return AsyncHeimdexClient(ADDRESS)

        client = await asyncio.to_thread(asyncio.run, made())
        with self.assertRaisesRegex(RuntimeError, "Expected a call in the event loop .* make a client in this one"):
            await client.embed_texts(["a"])
        with self.assertRaisesRegex(RuntimeError, "Expected a call in the event loop"):
            await anext(client.transcribe_stream(b"audio"))

    async def test_a_client_that_is_closed_during_a_call_says_so(self) -> None:
        done, called = threading.Event(), threading.Event()

        def unary(_request: bytes, _context: Any) -> bytes:
            called.set()
            done.wait(30)
            return b""

        def stream(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            yield unary(b"", context)

        async def live(client: AsyncHeimdexClient) -> None:
            async for _ in client.transcribe_stream(b"audio"):
                pass

        for server, call in (
            (fake_server(unary), AsyncHeimdexClient.server_info),
            (fake_server(stream=stream), live),
        ):
            called.clear()
            with server as port:
                client = AsyncHeimdexClient(f"127.0.0.1:{port}")
                open_call = asyncio.create_task(call(client))
                await asyncio.to_thread(called.wait, 30)
                await client.close()
                with self.assertRaises(ClientClosedError) as caught:
                    await open_call
                self.assertEqual((caught.exception.reason, caught.exception.attempts), ("CLOSED", 1))
        done.set()

    async def test_a_task_that_is_cancelled_keeps_the_message_and_ends_its_call_on_the_server(self) -> None:
        called, ended = threading.Event(), threading.Event()

        def unary(_request: bytes, context: Any) -> bytes:
            context.add_callback(ended.set)
            called.set()
            ended.wait(30)
            return b""

        with fake_server(unary) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:

                async def scope() -> None:
                    with self.assertRaisesRegex(asyncio.CancelledError, "by its scope"):
                        await client.server_info()

                task = asyncio.ensure_future(scope())
                await asyncio.to_thread(called.wait, 30)
                task.cancel("by its scope")  # As anyio does, which looks for its message in the error.
                await task
                self.assertTrue(await asyncio.to_thread(ended.wait, 30))

    async def test_close_ends_the_wait_before_another_attempt(self) -> None:
        refused = asyncio.Event()
        loop = asyncio.get_running_loop()

        def unary(_request: bytes, context: Any) -> None:
            context.add_callback(lambda: loop.call_soon_threadsafe(refused.set))
            refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", 3_600_000)

        with fake_server(unary) as port:
            client = AsyncHeimdexClient(f"127.0.0.1:{port}")
            waiting = asyncio.create_task(client.server_info(timeout=float("inf")))
            await refused.wait()
            await client.close()
            with self.assertRaises(ClientClosedError):
                await waiting

    async def test_answers_as_the_other_client_does(self) -> None:
        async with AsyncHeimdexClient(ADDRESS) as client:
            transcript, texts, images, faces, info, health = await asyncio.gather(
                client.transcribe(padded_flac(5 * 1024 * 1024), language="en"),
                client.embed_texts(["an elephant", "a penguin", "a heart", "a pizza", "an owl"]),
                client.embed_images([ELEPHANT, b"no image"]),
                client.detect_faces([TWO_FACES]),
                client.server_info(),
                client.health("Transcribe"),
            )
            self.assertTrue(transcript.text.startswith(SAID), transcript.text)
            self.assertEqual(len(texts.vectors), 5)
            self.assertEqual(len(faces.detections[0].faces), 3)
            self.assertEqual((info.limits.max_batch_items, health), (24, "SERVING"))
            with self.assertRaises(ImageUnreadableError):
                _ = images.vectors

    async def test_streams_chunks_of_an_asynchronous_iterable(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            audio = SPEECH.read_bytes()
            for at in range(0, len(audio), 10_000):
                yield audio[at : at + 10_000]

        async with AsyncHeimdexClient(ADDRESS) as client:
            events = [event async for event in client.transcribe_stream(chunks())]
            text = "".join(event.text for event in events if isinstance(event, Segment))
            self.assertTrue(text.strip().startswith(SAID), text)
            self.assertIsInstance(events[-1], TranscribeSummary)

    async def test_takes_chunks_of_any_size_and_refuses_what_is_no_bytes(self) -> None:
        async def chunks(*of: Any) -> AsyncIterator[Any]:
            for chunk in of:
                yield chunk

        audio, received = bytes(range(256)) * 20_000, list[bytes]()
        with fake_server(stream=collecting(received)) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                _ = [event async for event in client.transcribe_stream(chunks(audio, b"end"))]
        self.assertEqual(b"".join(received), audio + b"end")
        async with AsyncHeimdexClient(ADDRESS) as client:
            with self.assertRaisesRegex(TypeError, "Expected audio in chunks of bytes, got int"):
                _ = [event async for event in client.transcribe_stream(chunks(16_000))]

    async def test_reads_a_stream_of_asyncio_by_its_bytes_not_its_lines(self) -> None:
        # Of bytes without a line break, as of silence, a StreamReader holds only the beginning.
        received: list[bytes] = []
        audio = bytes(200_000) + b"speech\n" * 3
        with fake_server(stream=collecting(received)) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                reader = asyncio.StreamReader()
                reader.feed_data(audio)
                reader.feed_eof()
                _ = [event async for event in client.transcribe_stream(reader)]
        self.assertEqual(b"".join(received), audio)

    async def test_reads_audio_that_waits_without_keeping_others_from_their_threads(self) -> None:
        # More sources than asyncio's own threads, which are 32 at most: each gives its chunk when all are read.
        together = threading.Barrier(33)

        def chunks() -> Iterator[bytes]:
            together.wait(60)
            yield b"speech"

        with fake_server(stream=collecting([])) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:

                async def last() -> Any:
                    return [event async for event in client.transcribe_stream(chunks())][-1]

                summaries = await asyncio.gather(*(last() for _ in range(together.parties)))
        self.assertTrue(all(isinstance(summary, TranscribeSummary) for summary in summaries))

    async def test_raises_an_error_of_the_audio_itself(self) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield SPEECH.read_bytes()[:1000]
            raise OSError("the disk is gone")

        async with AsyncHeimdexClient(ADDRESS) as client:
            with self.assertRaisesRegex(OSError, "the disk is gone"):
                async for _event in client.transcribe_stream(broken()):
                    pass

    async def test_raises_an_error_of_the_audio_that_came_between_two_answers_at_once(self) -> None:
        def stream(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
            yield speech_pb2.TranscribeStreamResponse(segment={"text": "hi"}).SerializeToString()
            all(requests)  # Silent until the client ends the call.

        answered, failing = asyncio.Event(), asyncio.Event()

        async def broken() -> AsyncIterator[bytes]:
            yield b"audio"
            await answered.wait()
            failing.set()
            raise OSError("the disk is gone")

        async def read(port: int) -> None:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                async for _event in client.transcribe_stream(broken()):
                    answered.set()
                    await failing.wait()

        with fake_server(stream=stream) as port:
            with self.assertRaisesRegex(OSError, "the disk is gone"):
                await asyncio.wait_for(read(port), 30)

    async def test_asks_for_the_servers_limits_within_the_time_limit(self) -> None:
        left: list[float] = []

        def unary(_request: bytes, context: Any) -> bytes:
            left.append(context.time_remaining())
            refuse(context, grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
            return b""

        with fake_server(unary) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                for call in (client.embed_texts(["a", "b"], timeout=2), client.transcribe(bytes(5_000_000), timeout=2)):
                    with self.assertRaises(HeimdexError):
                        await call
        self.assertEqual([seconds < 3 for seconds in left], [True, True], left)

    async def test_retries_when_the_server_says_when(self) -> None:
        calls: list[float] = []

        def unary(_request: bytes, context: Any) -> bytes:
            calls.append(time.monotonic())
            if len(calls) < 3:
                refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_after_ms=20)
            vector = {"embedding": {"float32_le": bytes(28)}}
            return embedding_pb2.EmbedTextResponse(dimensions=7, results=[vector], model={"id": "a"}).SerializeToString()

        with fake_server(unary) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                self.assertEqual((await client.embed_texts(["text"])).dimensions, 7)
        self.assertEqual(len(calls), 3)
        self.assertGreaterEqual(calls[1] - calls[0], 0.02)

    async def test_retries_a_stream_before_its_first_answer_alone(self) -> None:
        calls: list[int] = []

        def stream(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            calls.append(0)
            if len(calls) > 1:
                yield speech_pb2.TranscribeStreamResponse(segment={"text": "hi"}).SerializeToString()
            refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")

        with fake_server(stream=stream) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}", retry=RetryOptions(initial_delay=0.01)) as client:
                # Not always a DrainingError: grpc.aio loses the status of a call that ends while it is written to.
                with self.assertRaises(UnavailableError):
                    async for event in client.transcribe_stream(b"audio"):
                        self.assertIsInstance(event, Segment)
                self.assertEqual(len(calls), 2)
                with self.assertRaises(UnavailableError):
                    async for _event in client.transcribe_stream(iter([b"audio"])):
                        pass
                self.assertEqual(len(calls), 3)

    async def test_does_not_retry_a_stream_where_the_server_asks_for_a_longer_wait_than_its_time_limit(self) -> None:
        def stream(_requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            yield from ()
            refuse(context, grpc.StatusCode.UNAVAILABLE, "STARTING", retry_after_ms=10**14)

        with fake_server(stream=stream) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                with self.assertRaises(UnavailableError):
                    async for _event in client.transcribe_stream(b"audio"):
                        pass

    async def test_gives_what_is_not_final_yet_of_live_speech(self) -> None:
        with fake_server(stream=live_speech) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                events = [event async for event in client.transcribe_stream([b"audio"], live=True)]
        self.assertEqual(events[:2], SPOKEN_LIVE)
        self.assertIsInstance(events[2], Segment)

    async def test_tells_that_a_stream_without_its_summary_was_cut_off(self) -> None:
        with fake_server(stream=cut_off) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                with self.assertRaises(InternalError) as caught:
                    _ = [event async for event in client.transcribe_stream(b"audio")]
        self.assertEqual(caught.exception.reason, "MALFORMED_ANSWER")

    async def test_tells_that_a_call_without_a_message_has_failed_although_its_status_is_ok(self) -> None:
        with fake_server(stream=lambda _requests, _context: iter(())) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                with self.assertRaises(InternalError) as caught:
                    await client.server_info()
        self.assertEqual(caught.exception.reason, "MALFORMED_ANSWER")

    async def test_gives_a_silent_server_up(self) -> None:
        def stream(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
            yield from (b"" for request in requests if request == b"never")
            while _context.is_active():
                time.sleep(0.01)

        with fake_server(stream=stream) as port:
            async with AsyncHeimdexClient(f"127.0.0.1:{port}") as client:
                with self.assertRaises(DeadlineExceededError) as caught:
                    async for _event in client.transcribe_stream(b"audio", timeout=0.2):
                        pass
                self.assertEqual(caught.exception.reason, "TIMEOUT")
