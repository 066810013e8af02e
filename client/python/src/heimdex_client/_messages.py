"""Requests as messages, and messages as plain answers. Nothing here sends anything."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from . import answers
from ._proto import health_pb2, speech_pb2
from .answers import Limits, Segment, Transcript
from .errors import DeadlineExceededError, InternalError
from .options import Content, RawAudio, TranscribeOptions

_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)


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
    data = None if read is None or inspect.iscoroutinefunction(read) else read()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    found = type(content).__name__ if data is None else f"a {type(content).__name__} of text"
    raise TypeError(f"Expected the bytes of a file, its path or the file opened with 'rb', got {found}")


def sized(audio: Content) -> tuple[Content, int]:
    """The audio and its bytes: in memory, but for the path of a file that may be too large for a message, and for memory as well."""
    if isinstance(audio, (str, os.PathLike)) and (size := os.stat(audio).st_size) > SMALL_BYTES:
        return audio, size
    content = read_content(audio)
    return content, len(content)


def made(kind: Callable[..., _M], **fields: Any) -> _M:
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
    return made(speech_pb2.TranscribeOptions, **given)


def _raw_message(raw: RawAudio | None) -> speech_pb2.RawAudio | None:
    if raw is None:
        return None
    encoding: Any = _enum(speech_pb2.AudioEncoding, "AUDIO_ENCODING", raw.encoding)
    fields = {"sample_rate_hz": raw.sample_rate_hz, "channel_count": raw.channel_count}
    return made(speech_pb2.RawAudio, encoding=encoding, **fields)


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
    summary = events[-1]
    assert isinstance(summary, answers.TranscribeSummary), "A stream without it has failed"
    text = "".join(segment.text for segment in segments).strip()
    fields = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
    return Transcript(text=text, segments=segments, **fields)


def malformed(method: str, what: str) -> InternalError:
    return InternalError(f"malformed response to {method}: {what}", code="INTERNAL", reason="MALFORMED_ANSWER", method=method)


def received(method: str, answer: Any) -> Any:
    """The answer of a unary call. gRPC for Python gives None for one without a message whose status is OK."""
    if answer is None:
        raise malformed(method, "it has no message")
    return answer


def check_end(last: answers.TranscribeEvent | None) -> None:
    """Raises the error of a stream that was cut off on the way: what is missing would go unseen."""
    if not isinstance(last, answers.TranscribeSummary):
        raise malformed("TranscribeStream", "it ended without its summary")


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
