"""The asynchronous client, on grpc.aio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import grpc
import grpc.aio

from . import _batches as batches
from . import _messages as messages
from ._audio import AsyncAudioSource, async_chunks_of, is_repeatable
from ._proto import health_pb2, server_info_pb2, speech_pb2
from ._transport import Client, health_name
from .answers import DetectedFaces, Embeddings, Limits, ServerInfo, ServingStatus, TranscribeEvent, Transcript
from .errors import HeimdexError
from .options import Content, Errors, RawAudio, TranscribeOptions

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

_T = TypeVar("_T")


class AsyncHeimdexClient(Client):
    """HeimdexClient for asyncio: the same settings, calls and errors. Make it inside a running event loop. Cancelling a task
    cancels its call on the server."""

    _grpc: ClassVar[Any] = grpc.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every call and the connection."""
        self._settings.closed.set()
        self._closing.set()
        await self._channel.close()

    def _stub(self, method: str) -> Any:
        stub = super()._stub(method)
        running = asyncio.get_running_loop()
        # Of a loop that is closed, or runs elsewhere, grpc.aio names neither the client nor what to do.
        if getattr(self._channel, "_loop", running) is not running:
            raise RuntimeError("Expected a call in the event loop that the client was made in: make a client in this one")
        return stub

    async def transcribe(
        self, audio: Content, *, raw: RawAudio | None = None, timeout: float | None = None, **options: Unpack[TranscribeOptions]
    ) -> Transcript:
        """See HeimdexClient.transcribe."""
        content, size = await asyncio.to_thread(messages.sized, audio)
        end = time.monotonic() + self._settings.timeout("Transcribe", timeout)
        if size > messages.SMALL_BYTES and size > messages.room(await self._limits(end)):
            start = messages.start_request(raw, options)
            events = self._stream(start, content, timeout=end - time.monotonic())
            return messages.transcript_of([event async for event in events])
        whole = await asyncio.to_thread(messages.read_content, content)
        request = messages.transcribe_request(whole, raw, options)
        return messages.plain(Transcript, await self._unary("Transcribe", request, end - time.monotonic()))

    def transcribe_stream(
        self,
        audio: AsyncAudioSource,
        *,
        raw: RawAudio | None = None,
        timeout: float | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> AsyncIterator[TranscribeEvent]:
        """See HeimdexClient.transcribe_stream. The chunks may come from an asynchronous iterable or a reader such as
        asyncio.StreamReader; others are read in a thread.

        A stream that the server ends while audio is sent may fail with UnavailableError instead of the server's own reason,
        which grpc.aio loses then.
        """
        silence = self._settings.timeout("TranscribeStream", timeout)
        return self._stream(messages.start_request(raw, options), audio, silence=silence)

    async def embed_images(
        self, images: Sequence[Content], *, normalize: bool = True, errors: Errors = "return", timeout: float | None = None
    ) -> Embeddings:
        """See HeimdexClient.embed_images."""
        return await self._batch(await asyncio.to_thread(batches.embed_images, images, normalize, errors), timeout)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model: Literal["vision", "text"] = "vision",
        normalize: bool = True,
        truncate: bool = True,
        errors: Errors = "return",
        timeout: float | None = None,
    ) -> Embeddings:
        """See HeimdexClient.embed_texts."""
        return await self._batch(batches.embed_texts(texts, model, normalize, truncate, errors), timeout)

    async def detect_faces(
        self,
        images: Sequence[Content],
        *,
        score_threshold: float | None = None,
        nms_threshold: float | None = None,
        max_faces: int | None = None,
        errors: Errors = "return",
        timeout: float | None = None,
    ) -> DetectedFaces:
        """See HeimdexClient.detect_faces."""
        batch = await asyncio.to_thread(batches.detect_faces, images, score_threshold, nms_threshold, max_faces, errors)
        return await self._batch(batch, timeout)

    async def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """See HeimdexClient.server_info."""
        timeout = self._settings.timeout("GetServerInfo", timeout)
        return self._settings.keep_info(await self._unary("GetServerInfo", server_info_pb2.GetServerInfoRequest(), timeout))

    async def health(self, service: str = "", *, timeout: float | None = None) -> ServingStatus:
        """See HeimdexClient.health."""
        request = health_pb2.HealthCheckRequest(service=health_name(service))
        return messages.serving_status(await self._unary("Check", request, self._settings.timeout("Check", timeout)))

    async def _limits(self, end: float) -> Limits:
        return (self._settings.info or await self.server_info(timeout=self._settings.info_timeout(end))).limits

    async def _batch(self, batch: batches.Batch[_T], timeout: float | None) -> _T:
        end = time.monotonic() + self._settings.timeout(batch.method, timeout)
        limits = await self._limits(end) if len(batch.items) > 1 else None
        return batch.merge([await self._unary(batch.method, part, end - time.monotonic()) for part in batch.requests(limits)])

    async def _unary(self, method: str, request: Any, timeout: float) -> Any:
        attempts = self._settings.attempts(timeout)
        while True:
            try:
                metadata = self._settings.metadata()  # First: its token function may take its part of the time.
                answer = await _answer(self._stub(method)(request, timeout=attempts.start(), metadata=metadata))
            except grpc.RpcError as failure:
                delay = attempts.delay(await self._error(failure, method, attempts.count))
            except asyncio.CancelledError as cancelled:
                self._check_open(cancelled, method, attempts.count)
                raise
            else:
                attempts.succeeded()
                return messages.received(method, answer)
            await self._pause(delay)

    @cached_property
    def _closing(self) -> asyncio.Event:
        return asyncio.Event()

    async def _pause(self, delay: float) -> None:
        """Waits before the next attempt, which close() ends."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), delay)

    async def _error(self, failure: Any, method: str, attempts: int) -> HeimdexError:
        return await asyncio.to_thread(self._settings.error, failure, method, attempts)

    def _check_open(self, cancelled: asyncio.CancelledError, method: str, attempts: int) -> None:
        """Raises the error of a call that close() has cancelled, unless its task is cancelled (Python 3.10 does not tell)."""
        if self._settings.closed.is_set() and not getattr(asyncio.current_task(), "cancelling", int)():
            raise self._settings.closed_error(method, attempts) from cancelled

    async def _stream(
        self,
        start: speech_pb2.TranscribeStreamRequest,
        audio: AsyncAudioSource,
        *,
        silence: float | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[TranscribeEvent]:
        method = "TranscribeStream"
        attempts = self._settings.attempts(timeout)
        while True:
            metadata = self._settings.metadata()
            call = self._stub(method)(timeout=attempts.start(), metadata=metadata)
            feed = _Feed(call, start, audio)
            answered, last = False, None
            try:
                while (response := await feed.read(silence)) is not grpc.aio.EOF:
                    if response is None:
                        raise messages.silent(self._settings.target, silence, attempts.count)
                    if not answered:
                        answered = True
                        attempts.succeeded()
                    event = messages.stream_event(response)
                    if event is not None:
                        last = event
                        yield event
                if await call.code() is not grpc.StatusCode.OK:
                    raise await _failure(call)
                messages.check_end(last)
                return
            except grpc.RpcError as failure:
                error = await self._error(failure, method, attempts.count)
                if answered or not is_repeatable(audio):
                    raise error from failure
                delay = attempts.delay(error, silence)
            except asyncio.CancelledError as cancelled:
                self._check_open(cancelled, method, attempts.count)
                raise
            finally:
                call.cancel()
                await feed.stop()
            await self._pause(delay)


async def _answer(call: Any) -> Any:
    """The answer of a unary call. Where its task is cancelled, grpc.aio raises another CancelledError, without the message by
    which anyio knows that one of its scopes has ended."""
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        call.cancel()
        raise


async def _failure(call: Any) -> grpc.aio.AioRpcError:
    initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
    return grpc.aio.AioRpcError(await call.code(), initial, trailing, await call.details())


class _Feed:
    """Writes the audio of a stream in a task of its own, and reads its answers."""

    def __init__(self, call: Any, start: speech_pb2.TranscribeStreamRequest, audio: AsyncAudioSource) -> None:
        self._call = call
        self._last = time.monotonic()
        self._writer = asyncio.ensure_future(self._write(start, audio))
        self._source: Exception | None = None

    async def _write(self, start: speech_pb2.TranscribeStreamRequest, audio: AsyncAudioSource) -> None:
        await self._call.write(start)
        chunks = async_chunks_of(audio, start.start.raw.encoding)
        while True:
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            except Exception as error:
                self._source = error
                raise
            if self._call.done():
                return
            self._last = time.monotonic()
            await self._call.write(speech_pb2.TranscribeStreamRequest(audio=chunk))
        await self._call.done_writing()

    async def read(self, silence: float | None) -> Any:
        """The next answer, EOF, or None where nothing went in either direction for `silence` seconds."""
        self._last = time.monotonic()
        read = asyncio.ensure_future(self._call.read())
        try:
            while not read.done():
                if self._source is not None:
                    raise self._source
                left = None if silence is None else self._last + silence - time.monotonic()
                if left is not None and left <= 0:
                    return None
                waited = {read} if self._writer.done() else {read, self._writer}
                await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._source is not None:
                raise self._source
            return read.result()
        finally:
            read.cancel()

    async def stop(self) -> None:
        self._writer.cancel()
        # What a write to a call that has failed raises, the read of the call tells as well.
        await asyncio.gather(self._writer, return_exceptions=True)
