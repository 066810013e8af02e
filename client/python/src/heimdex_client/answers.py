"""What calls answer: plain values with the names of the contract (proto/heimdex/inference/v1)."""

from __future__ import annotations

import array
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, overload

from .errors import ItemError

try:
    _numpy: Any = importlib.import_module("numpy")
except ImportError:
    _numpy = None


class Vector(Protocol):
    """float32 numbers: a numpy.ndarray where numpy is installed, else an array.array('f')."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def tobytes(self) -> bytes: ...
    def tolist(self) -> Any: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...


def vector_of(float32_le: bytes) -> Vector:
    """The vector of little-endian bytes; the array is the caller's own and writable."""
    if _numpy is not None:
        vector: Vector = _numpy.frombuffer(float32_le, dtype="<f4").astype(_numpy.float32)
        return vector
    numbers = array.array("f", float32_le)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


@dataclass(frozen=True)
class Model:
    """Which model answered. Vectors of different models cannot be compared."""

    id: str
    revision: str
    variant: str


@dataclass(frozen=True)
class Timing:
    """Where the time went, in milliseconds, and how many items ran together."""

    queue_ms: float
    run_ms: float
    batch_size: int


@dataclass(frozen=True)
class Word:
    """One word, with its leading space and its punctuation. Times are seconds from the audio's start; probability: 0 to 1."""

    text: str
    start_seconds: float
    end_seconds: float
    probability: float


@dataclass(frozen=True)
class Segment:
    """A segment of speech. Times are seconds from the audio's start; `words` is empty unless timestamps is "word"."""

    id: int
    start_seconds: float
    end_seconds: float
    text: str
    tokens: tuple[int, ...]
    avg_log_prob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    words: tuple[Word, ...]


@dataclass(frozen=True)
class AudioTrack:
    """The track that was transcribed: its index from 0, its codec such as "AAC", its language such as "eng" (ISO 639-2), ""
    if the file does not tell."""

    index: int
    codec: str
    language: str


@dataclass(frozen=True)
class TranscribeProgress:
    """How far a stream is, in seconds from the audio's start."""

    processed_seconds: float


@dataclass(frozen=True)
class TranscribePartial:
    """The words at the end of live speech that are not final yet. Replaces the last one; empty: nothing is pending."""

    text: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class TranscribeSummary:
    """The last event of a stream. language: such as "ko", its probability 0 to 1. speech_seconds: what the model processed, less
    than the duration for a clip or with vad_filter."""

    language: str
    language_probability: float
    duration_seconds: float
    speech_seconds: float
    model: Model
    timing: Timing
    warnings: tuple[str, ...]
    audio_track: AudioTrack | None


TranscribeEvent = Segment | TranscribePartial | TranscribeProgress | TranscribeSummary


@dataclass(frozen=True)
class Transcript(TranscribeSummary):
    """Speech to text: the summary with the whole text and its segments."""

    text: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Embedding:
    """One vector. Of a text: how many tokens the model saw, and whether its end was left out."""

    vector: Vector
    token_count: int
    truncated: bool

    def __eq__(self, other: object) -> bool:
        # Arrays of numpy are compared number by number, and neither kind of array has a hash.
        return isinstance(other, Embedding) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    @property
    def _values(self) -> tuple[bytes, int, bool]:
        return self.vector.tobytes(), self.token_count, self.truncated


_T = TypeVar("_T")


def _values(results: tuple[_T | ItemError, ...]) -> list[_T]:
    values: list[_T] = []
    for result in results:
        if isinstance(result, ItemError):
            raise result.among(len(results))
        values.append(result)
    return values


@dataclass(frozen=True)
class Embeddings:
    """One result an item, in the order of the request."""

    results: tuple[Embedding | ItemError, ...]
    dimensions: int
    model: Model
    timing: Timing

    @property
    def vectors(self) -> list[Vector]:
        """Every vector; raises the error of the first item that failed."""
        return [embedding.vector for embedding in _values(self.results)]


@dataclass(frozen=True)
class Point:
    """In pixels of the image as shown, from its top left corner."""

    x: float
    y: float


@dataclass(frozen=True)
class Box:
    """Pixels of the image as shown, that is after its EXIF orientation."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Landmarks:
    """Right and left are the person's own."""

    right_eye: Point
    left_eye: Point
    nose: Point
    right_mouth_corner: Point
    left_mouth_corner: Point


@dataclass(frozen=True)
class Face:
    """One face and its score, 0 to 1."""

    box: Box
    score: float
    landmarks: Landmarks


@dataclass(frozen=True)
class FaceDetections:
    """The faces of one image, best first."""

    image_width: int
    image_height: int
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class DetectedFaces:
    """One result an image, in the order of the request."""

    results: tuple[FaceDetections | ItemError, ...]
    model: Model
    timing: Timing

    @property
    def detections(self) -> list[FaceDetections]:
        """Every image's faces; raises the error of the first image that failed."""
        return _values(self.results)


@dataclass(frozen=True)
class BatchPolicy:
    """How the items of a model run together. max_items and max_cost are those of one run; cost_unit: "tokens", "pixels" or
    "audio seconds"."""

    shared: bool
    max_items: int
    reason: str
    max_cost: float
    cost_unit: str


@dataclass(frozen=True)
class LoadedModel:
    """A model of the server. role: "speech", "vision", "text" or "faces"; dimensions: 0 if it gives no vectors; device: "cpu" or
    "cuda"; threads are those of each worker process, memory_bytes that of all."""

    role: str
    model: Model
    dimensions: int
    device: str
    load_seconds: float
    memory_bytes: int
    family: str
    workers: int
    threads: int
    batch_policy: BatchPolicy


@dataclass(frozen=True)
class Limits:
    """What one call may have, and how many items may wait for a model. 0: the server does not tell."""

    max_message_bytes: int
    max_batch_items: int
    max_audio_seconds: float
    max_image_pixels: int
    max_queue: int


@dataclass(frozen=True)
class ServerInfo:
    """What a server has loaded, and what it accepts."""

    version: str
    uptime_seconds: float
    models: tuple[LoadedModel, ...]
    limits: Limits
    audio_formats: tuple[str, ...]
    image_formats: tuple[str, ...]


ServingStatus = Literal["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
