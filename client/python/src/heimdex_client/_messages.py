"""Requests as messages, and messages as plain answers. Nothing here sends anything."""

from __future__ import annotations

import dataclasses
import functools
import os
import reprlib
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from . import answers
from ._proto import common_pb2, embedding_pb2, faces_pb2, health_pb2, speech_pb2
from .answers import DetectedFaces, Embedding, Embeddings, FaceDetections, Limits, Model, Segment, Timing, Transcript
from .errors import DeadlineExceededError, InternalError, ItemError, ModelMismatchError, make_error
from .options import Content, Errors, RawAudio, TranscribeOptions

_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)
_ENCODING = common_pb2.VECTOR_ENCODING_FLOAT32_LE
_TEXT_MODELS = {"vision": embedding_pb2.TEXT_MODEL_VISION, "text": embedding_pb2.TEXT_MODEL_TEXT}


def plain(kind: Callable[..., _T], message: Message) -> _T:
    """The message as the dataclass `kind`, whose fields have the names of the message's."""
    return kind(**{name: _field(message, name, hint) for name, hint in _hints(kind).items()})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _field(message: Message, name: str, hint: Any) -> Any:
    value = getattr(message, name)
    arguments = typing.get_args(hint)
    if type(None) in arguments and not message.HasField(name):
        return None
    kind: Any = arguments[0] if arguments else hint
    nested = bool(dataclasses.is_dataclass(kind))
    if typing.get_origin(hint) is tuple:
        return tuple(plain(kind, item) for item in value) if nested else tuple(value)
    return plain(kind, value) if nested else value


def read_content(content: Content) -> bytes:
    """The whole content in memory."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, (str, os.PathLike)):
        with open(content, "rb") as file:
            return file.read()
    read = getattr(content, "read", None)
    data = None if read is None else read()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    found = type(content).__name__ if data is None else f"a {type(content).__name__} of text"
    raise TypeError(f"Expected the bytes of a file, its path or the file opened with 'rb', got {found}")


def _made(kind: Callable[..., _M], **fields: Any) -> _M:
    """The message of the fields. protobuf's errors about a value do not name its field; these do."""
    for name, value in fields.items():
        try:
            kind(**{name: value})
        except (TypeError, ValueError) as error:
            raise type(error)(f"Invalid {name}, got {value!r}: {error}") from None
    return kind(**fields)


def _enum(kind: Any, prefix: str, word: str) -> int:
    """The number of "word" in an enum whose values are PREFIX_WORD."""
    try:
        return int(kind.Value(f"{prefix}_{word.upper()}"))
    except ValueError:
        raise ValueError(f"Expected {prefix.lower()} to be one of {', '.join(_words(kind, prefix))}, got {word!r}") from None


def _words(kind: Any, prefix: str) -> list[str]:
    return [name.removeprefix(f"{prefix}_").lower() for name in kind.keys() if not name.endswith("UNSPECIFIED")]


def options_message(options: TranscribeOptions) -> speech_pb2.TranscribeOptions:
    """Options that are absent or None stay absent, so that the server's defaults hold."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "task" in given:
        given["task"] = _enum(speech_pb2.TranscribeTask, "TRANSCRIBE_TASK", given["task"])
    if "timestamps" in given:
        given["timestamps"] = _enum(speech_pb2.Timestamps, "TIMESTAMPS", given["timestamps"])
    return _made(speech_pb2.TranscribeOptions, **given)


def _raw_message(raw: RawAudio | None) -> speech_pb2.RawAudio | None:
    if raw is None:
        return None
    encoding: Any = _enum(speech_pb2.AudioEncoding, "AUDIO_ENCODING", raw.encoding)
    fields = {"sample_rate_hz": raw.sample_rate_hz, "channel_count": raw.channel_count}
    return _made(speech_pb2.RawAudio, encoding=encoding, **fields)


def transcribe_request(content: bytes, raw: RawAudio | None, options: TranscribeOptions) -> speech_pb2.TranscribeRequest:
    audio = speech_pb2.AudioInput(content=content, raw=_raw_message(raw))
    return speech_pb2.TranscribeRequest(audio=audio, options=options_message(options))


def start_request(raw: RawAudio | None, options: TranscribeOptions) -> speech_pb2.TranscribeStreamRequest:
    start = speech_pb2.TranscribeStart(raw=_raw_message(raw), options=options_message(options))
    return speech_pb2.TranscribeStreamRequest(start=start)


def stream_event(response: speech_pb2.TranscribeStreamResponse) -> answers.TranscribeEvent | None:
    """None for a kind of message that this version does not know."""
    kind = response.WhichOneof("message")
    if kind == "segment":
        return plain(Segment, response.segment)
    if kind == "partial":
        return plain(answers.TranscribePartial, response.partial)
    if kind == "progress":
        return plain(answers.TranscribeProgress, response.progress)
    return plain(answers.TranscribeSummary, response.summary) if kind == "summary" else None


def transcript_of(events: Sequence[answers.TranscribeEvent]) -> Transcript:
    """The whole answer of a stream's events; the summary is the last."""
    segments = tuple(event for event in events if isinstance(event, Segment))
    summary = events[-1] if events else None
    if not isinstance(summary, answers.TranscribeSummary):
        raise InternalError("The stream ended without its summary", code="INTERNAL", method="TranscribeStream")
    text = "".join(segment.text for segment in segments).strip()
    fields = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
    return Transcript(text=text, segments=segments, **fields)


@dataclasses.dataclass(frozen=True)
class Batch(Generic[_T]):
    """A call of many items, which may take several requests."""

    method: str
    items: Sequence[Any]
    sizes: Sequence[int]
    request: Callable[[Sequence[Any]], Message]
    merge: Callable[[Sequence[Any]], _T]

    def requests(self, limits: Limits | None) -> Iterator[Message]:
        """One request where the limits are unknown, else as many as it takes for every one to be within them."""
        if limits is None:
            yield self.request(self.items)
            return
        room = limits.max_message_bytes - 1024
        begin, used = 0, 0
        for index, size in enumerate(self.sizes):
            size += 16  # Tags and lengths.
            if index > begin and (index - begin >= limits.max_batch_items or used + size > room):
                yield self.request(self.items[begin:index])
                begin, used = index, 0
            used += size
        yield self.request(self.items[begin:])


def _items(given: Iterable[_T], what: str, is_one: bool) -> list[_T]:
    if is_one or not isinstance(given, Iterable):
        raise TypeError(f"Expected {what}s to be a list of {what}s, got {f'one {what}' if is_one else repr(given)}")
    return list(given)


def _raises(errors: str) -> bool:
    """Whether the first failed item is raised. Another word would be taken for "return", and the errors go unseen."""
    if errors not in typing.get_args(Errors):
        raise ValueError(f"Expected errors to be 'return' or 'raise', got {errors!r}")
    return errors == "raise"


def _contents(images: Sequence[Content]) -> list[bytes]:
    is_one = isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(images, "read")
    return [read_content(image) for image in _items(images, "image", is_one)]


def embed_images(images: Sequence[Content], normalize: bool, errors: Errors) -> Batch[Embeddings]:
    raises = _raises(errors)
    contents = _contents(images)

    def request(part: Sequence[bytes]) -> Message:
        inputs = [common_pb2.ImageInput(content=content) for content in part]
        return embedding_pb2.EmbedImageRequest(images=inputs, encoding=_ENCODING, normalize=normalize)

    sizes = [len(content) for content in contents]
    return Batch("EmbedImage", contents, sizes, request, lambda responses: _embeddings("EmbedImage", len(sizes), responses, raises))


def _text_bytes(text: str, name: str) -> int:
    if not isinstance(text, str):
        raise TypeError(f"Expected {name} to be a str, got {reprlib.repr(text)}")
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"Expected {name} to be Unicode: {error}") from None


def embed_texts(texts: Sequence[str], model: str, normalize: bool, truncate: bool, errors: Errors) -> Batch[Embeddings]:
    raises = _raises(errors)
    texts = _items(texts, "text", isinstance(texts, (str, bytes)))
    if model not in _TEXT_MODELS:
        raise ValueError(f"Expected model to be 'vision' or 'text', got {model!r}")

    def request(part: Sequence[str]) -> Message:
        return embedding_pb2.EmbedTextRequest(
            texts=part, model=_TEXT_MODELS[model], encoding=_ENCODING, normalize=normalize, truncate=truncate
        )

    sizes = [_text_bytes(text, f"texts[{index}]") for index, text in enumerate(texts)]
    return Batch("EmbedText", texts, sizes, request, lambda responses: _embeddings("EmbedText", len(sizes), responses, raises))


def detect_faces(
    images: Sequence[Content],
    score_threshold: float | None,
    nms_threshold: float | None,
    max_faces: int | None,
    errors: Errors,
) -> Batch[DetectedFaces]:
    raises = _raises(errors)
    contents = _contents(images)

    settings = {"score_threshold": score_threshold, "nms_threshold": nms_threshold, "max_faces": max_faces}
    given = _made(faces_pb2.DetectFacesRequest, **settings)

    def request(part: Sequence[bytes]) -> Message:
        made = faces_pb2.DetectFacesRequest(images=[common_pb2.ImageInput(content=content) for content in part])
        made.MergeFrom(given)
        return made

    def merge(responses: Sequence[faces_pb2.DetectFacesResponse]) -> DetectedFaces:
        model, timing = _provenance(responses)
        results = _results(
            "DetectFaces", len(contents), responses, raises, "detections", lambda found: plain(FaceDetections, found)
        )
        return DetectedFaces(results, model, timing)

    return Batch("DetectFaces", contents, [len(content) for content in contents], request, merge)


def _embeddings(
    method: str,
    count: int,
    responses: Sequence[embedding_pb2.EmbedImageResponse | embedding_pb2.EmbedTextResponse],
    raises: bool,
) -> Embeddings:
    model, timing = _provenance(responses)
    dimensions = responses[0].dimensions

    def embedding(found: common_pb2.Embedding) -> Embedding:
        if len(found.float32_le) != 4 * dimensions:
            raise _malformed(method, f"a vector of {len(found.float32_le)} bytes for {dimensions} dimensions")
        return Embedding(answers.vector_of(found.float32_le), found.token_count, found.truncated)

    return Embeddings(_results(method, count, responses, raises, "embedding", embedding), dimensions, model, timing)


def _results(
    method: str, count: int, responses: Sequence[Any], raises: bool, kind: str, value: Callable[[Any], _T]
) -> tuple[_T | ItemError, ...]:
    """One result for each of `count` items, whose values are of the oneof's `kind`."""
    results: list[_T | ItemError] = []
    for result in (result for response in responses for result in response.results):
        found = result.WhichOneof("result")
        if found == kind:
            results.append(value(getattr(result, kind)))
            continue
        if found != "error":
            raise _malformed(method, f"a result without {kind} or an error")
        error = make_error(result.error)
        if raises:
            raise error
        results.append(ItemError(len(results), error))
    if len(results) != count:
        raise _malformed(method, f"{len(results)} results for {count} inputs")
    return tuple(results)


def _malformed(method: str, what: str) -> InternalError:
    return InternalError(f"malformed response to {method}: {what}", code="INTERNAL", reason="MALFORMED_ANSWER", method=method)


def _provenance(responses: Sequence[Any]) -> tuple[Model, Timing]:
    """The one model of all parts, and where their time went together."""
    models = {plain(Model, response.model) for response in responses}
    if len(models) > 1:
        raise ModelMismatchError(f"Parts of one batch were answered by different models: {models}", reason="MODEL_MISMATCH")
    timings = [plain(Timing, response.timing) for response in responses]
    timing = Timing(
        max(each.queue_ms for each in timings),
        sum(each.run_ms for each in timings),
        max(each.batch_size for each in timings),
    )
    return models.pop(), timing


SMALL_BYTES = 4 * 1024 * 1024
"""Smaller audio is sent in one message without asking for the server's limit first."""


def room(limits: Limits) -> int:
    """Bytes of content that fit into one message with its options."""
    return limits.max_message_bytes - 64 * 1024


def serving_status(response: health_pb2.HealthCheckResponse) -> answers.ServingStatus:
    """UNKNOWN for a status that a later server may send."""
    statuses: dict[int, answers.ServingStatus] = {
        number: name  # type: ignore[misc]
        for name, number in health_pb2.HealthCheckResponse.ServingStatus.items()
    }
    return statuses.get(response.status, "UNKNOWN")


def silent(target: str, seconds: float | None, attempts: int) -> DeadlineExceededError:
    return DeadlineExceededError(
        f"No message to or from {target} for {seconds} s",
        code="DEADLINE_EXCEEDED",
        reason="TIMEOUT",
        method="TranscribeStream",
        attempts=attempts,
    )
