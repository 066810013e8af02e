"""The synchronous client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import grpc

from . import _batches as batches
from . import _messages as messages
from ._audio import AudioSource, chunks_of, is_repeatable
from ._proto import health_pb2, server_info_pb2, speech_pb2
from ._transport import Client, health_name
from .answers import DetectedFaces, Embeddings, Limits, ServerInfo, ServingStatus, TranscribeEvent, Transcript
from .options import Content, Errors, RawAudio, TranscribeOptions
from .retry import Attempts

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

_T = TypeVar("_T")


class HeimdexClient(Client):
    """Calls a server. Safe to use from several threads; close it, or use it in a `with` statement.

    Every call ends with its answer or a HeimdexError, at its time limit at the latest; errors of your token function, audio
    source or file pass through.

    address: "host:port", "https://host:port" or "unix:/path". The port is 8001 where none is given. Several servers, called in
    turn where they are healthy: "dns:///name:port", every address of the name, or a list of "ip:port".
    tls: True or TlsOptions: encrypt. Default: only where the address begins with https://.
    token: sent as a bearer token; a function is asked before each attempt.
    retry: UNAVAILABLE is retried, RESOURCE_EXHAUSTED when the server says when, both within one budget.
    timeouts: seconds by rpc; see DEFAULT_TIMEOUTS. headers: metadata of every call. priority: "bulk" yields to others,
    and waits for room in a full queue until its time limit.
    """

    _grpc: ClassVar[Any] = grpc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends every call and the connection."""
        self._settings.closed.set()
        self._channel.close()

    def transcribe(
        self, audio: Content, *, raw: RawAudio | None = None, timeout: float | None = None, **options: Unpack[TranscribeOptions]
    ) -> Transcript:
        """Speech to text of one audio file: its bytes, its path or the open file. What is larger than one message may be is
        sent as a stream, of a path without reading the whole file into memory. `raw` describes samples without a container."""
        content, size = messages.sized(audio)
        end = time.monotonic() + self._settings.timeout("Transcribe", timeout)
        if size > messages.SMALL_BYTES and size > messages.room(self._limits(end)):
            start = messages.start_request(raw, options)
            return messages.transcript_of(list(self._stream(start, content, timeout=end - time.monotonic())))
        request = messages.transcribe_request(messages.read_content(content), raw, options)
        return messages.plain(Transcript, self._unary("Transcribe", request, end - time.monotonic()))

    def transcribe_stream(
        self,
        audio: AudioSource,
        *,
        raw: RawAudio | None = None,
        timeout: float | None = None,
        **options: Unpack[TranscribeOptions],
    ) -> Iterator[TranscribeEvent]:
        """Speech to text while the audio arrives: Segments as they become final, TranscribeProgress, a TranscribeSummary last.

        audio: chunks of any size, or anything that transcribe takes; a function that gives them lets the call be retried
        before its first answer. timeout: seconds without a message in either direction. Leaving the loop ends the call.
        """
        silence = self._settings.timeout("TranscribeStream", timeout)
        return self._stream(messages.start_request(raw, options), audio, silence=silence)

    def embed_images(
        self, images: Sequence[Content], *, normalize: bool = True, errors: Errors = "return", timeout: float | None = None
    ) -> Embeddings:
        """Images to vectors, in one space with the texts of model "vision". More images than the server takes in one call
        are sent in several."""
        return self._batch(batches.embed_images(images, normalize, errors), timeout)

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model: Literal["vision", "text"] = "vision",
        normalize: bool = True,
        truncate: bool = True,
        errors: Errors = "return",
        timeout: float | None = None,
    ) -> Embeddings:
        """Texts to vectors: "vision" to find images by words, "text" (the sentence embedder) to find texts by texts.
        truncate: cut a text that is longer than the model reads; False: it is that item's error."""
        return self._batch(batches.embed_texts(texts, model, normalize, truncate, errors), timeout)

    def detect_faces(
        self,
        images: Sequence[Content],
        *,
        score_threshold: float | None = None,
        nms_threshold: float | None = None,
        max_faces: int | None = None,
        errors: Errors = "return",
        timeout: float | None = None,
    ) -> DetectedFaces:
        """Faces with five landmarks each. Server's defaults: scores from 0.7, NMS 0.3, every face."""
        return self._batch(batches.detect_faces(images, score_threshold, nms_threshold, max_faces, errors), timeout)

    def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """What is loaded, what is accepted, the limits."""
        timeout = self._settings.timeout("GetServerInfo", timeout)
        return self._settings.keep_info(self._unary("GetServerInfo", server_info_pb2.GetServerInfoRequest(), timeout))

    def health(self, service: str = "", *, timeout: float | None = None) -> ServingStatus:
        """Whether the server serves, as a whole or one rpc such as "EmbedImage". An unknown name: NotFoundError."""
        request = health_pb2.HealthCheckRequest(service=health_name(service))
        response = self._unary("Check", request, self._settings.timeout("Check", timeout))
        return messages.serving_status(response)

    def _limits(self, end: float) -> Limits:
        return (self._settings.info or self.server_info(timeout=self._settings.info_timeout(end))).limits

    def _batch(self, batch: batches.Batch[_T], timeout: float | None) -> _T:
        end = time.monotonic() + self._settings.timeout(batch.method, timeout)
        limits = self._limits(end) if len(batch.items) > 1 else None
        return batch.merge([self._unary(batch.method, part, end - time.monotonic()) for part in batch.requests(limits)])

    def _unary(self, method: str, request: Any, timeout: float) -> Any:
        attempts = self._settings.attempts(timeout)
        while True:
            try:
                answer = self._send(method, request, attempts)
            except grpc.RpcError as failure:
                delay = attempts.delay(self._settings.error(failure, method, attempts.count))
            else:
                attempts.succeeded()
                return messages.received(method, answer)
            self._settings.closed.wait(delay)

    def _send(self, method: str, request: Any, attempts: Attempts) -> Any:
        """Makes one attempt. The token comes first: the call may end, and close() be called, while its function runs."""
        metadata = self._settings.metadata()
        stub = self._stub(method)
        try:
            return stub(request, timeout=attempts.start(), metadata=metadata)
        except ValueError:
            # What gRPC raises if the channel was closed since.
            if self._settings.closed.is_set():
                raise self._settings.closed_error(method, attempts.count) from None
            raise

    def _stream(
        self,
        start: speech_pb2.TranscribeStreamRequest,
        audio: AudioSource,
        *,
        silence: float | None = None,
        timeout: float | None = None,
    ) -> Iterator[TranscribeEvent]:
        method = "TranscribeStream"
        attempts = self._settings.attempts(timeout)
        while True:
            feed = _Feed(start, audio)
            call = self._send(method, feed.requests(), attempts)
            watch = _SilenceWatch(silence, call.cancel)
            feed.watch(call.cancel, watch.touch)
            answered, last = False, None
            try:
                while (response := watch.next(call)) is not None:
                    if not answered:
                        answered = True
                        attempts.succeeded()
                    event = messages.stream_event(response)
                    if event is not None:
                        last = event
                        yield event
                messages.check_end(last)
                return
            except grpc.RpcError as failure:
                if feed.error is not None:
                    raise feed.error from None
                if watch.expired:
                    raise messages.silent(self._settings.target, silence, attempts.count) from None
                error = self._settings.error(failure, method, attempts.count)
                if answered or not is_repeatable(audio):
                    raise error from failure
                delay = attempts.delay(error, silence)
            finally:
                watch.stop()
                call.cancel()
            self._settings.closed.wait(delay)


class _Feed:
    """The requests of a stream. gRPC reads them in a thread of its own, so an error of the audio is kept for the caller."""

    def __init__(self, start: speech_pb2.TranscribeStreamRequest, audio: AudioSource) -> None:
        self._start = start
        self._audio = audio
        self._ready = threading.Event()
        self.error: Exception | None = None

    def watch(self, cancel: Callable[[], Any], sent: Callable[[], None]) -> None:
        self._cancel = cancel
        self._sent = sent
        self._ready.set()

    def requests(self) -> Iterator[speech_pb2.TranscribeStreamRequest]:
        yield self._start
        self._ready.wait()
        try:
            audio = self._audio() if callable(self._audio) else self._audio
            for chunk in chunks_of(audio, self._start.start.raw.encoding):
                self._sent()
                yield speech_pb2.TranscribeStreamRequest(audio=chunk)
        except Exception as error:  # noqa: BLE001, it is raised in the caller's thread
            self.error = error
            self._cancel()


class _SilenceWatch:
    """Cancels a call on which no message goes in either direction for some seconds while its caller waits for one."""

    def __init__(self, seconds: float | None, cancel: Callable[[], Any]) -> None:
        self._cancel = cancel
        self._last = time.monotonic()
        self._waiting = False
        self._stopped = threading.Event()
        self.expired = False
        if seconds is not None:
            threading.Thread(target=self._run, args=(seconds,), daemon=True).start()

    def touch(self) -> None:
        self._last = time.monotonic()

    def next(self, call: Iterator[_T]) -> _T | None:
        self.touch()
        self._waiting = True
        try:
            return next(call, None)
        finally:
            self._waiting = False

    def stop(self) -> None:
        self._stopped.set()

    def _run(self, seconds: float) -> None:
        left = seconds
        while not self._stopped.wait(left):
            left = self._last + seconds - time.monotonic() if self._waiting else seconds
            if left <= 0:
                self.expired = True
                self._cancel()
                return
