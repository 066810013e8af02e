"""What calls take."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal, TypedDict

PathLike = str | os.PathLike[str]
Content = bytes | bytearray | memoryview | PathLike | IO[bytes]
"""A file's bytes, its path, or the file opened for reading bytes."""

Errors = Literal["return", "raise"]
"""Of a batch: items that failed are ItemErrors among the results, or the first one's error is raised."""

Priority = Literal["interactive", "bulk"]

DEFAULT_TIMEOUTS: Mapping[str, float] = {
    "Transcribe": 600.0,
    "TranscribeStream": 300.0,
    "EmbedImage": 60.0,
    "EmbedText": 60.0,
    "DetectFaces": 60.0,
    "GetServerInfo": 5.0,
    "Check": 5.0,
}
"""Seconds a call may take, all its attempts together; at most 23 days, infinity included. Of TranscribeStream: how long neither
side may send anything."""


_MAX_SECONDS = 2_000_000.0  # 23 days, as much as timers of the server hold.


def time_limit(name: str, seconds: float) -> float:
    """The seconds, capped; infinity is no limit of its own. Raises ValueError for NaN or below 0, TypeError for no number."""
    try:
        valid = seconds >= 0
    except TypeError:
        raise TypeError(f"Expected {name} to be a number of seconds, got {seconds!r}") from None
    if not valid:
        raise ValueError(f"Expected {name} to be 0 or more seconds, got {seconds}")
    return min(seconds, _MAX_SECONDS)


@dataclass(frozen=True)
class RawAudio:
    """Samples without a container: little endian, channels interleaved."""

    encoding: Literal["pcm_s16le", "pcm_f32le"]
    sample_rate_hz: int
    channel_count: int = 1


class VadParameters(TypedDict, total=False):
    """What the voice activity detector takes for speech; names and defaults are those of faster-whisper's VadOptions."""

    threshold: float
    neg_threshold: float
    min_speech_duration_ms: int
    max_speech_duration_s: float
    min_silence_duration_ms: int
    speech_pad_ms: int


class TranscribeOptions(TypedDict, total=False):
    """Names and defaults are those of OpenAI Whisper and faster-whisper; what is absent keeps the server's default.

    language: ISO 639-1, such as "ko"; absent: detected. task: "translate" writes English. timestamps: default "segment".
    condition_on_previous_text: False decodes several windows at a time, which is faster. Clip times are seconds. live: of
    transcribe_stream only; TranscribePartials as well, and Segments as soon as two passes agree on them.
    """

    language: str
    task: Literal["transcribe", "translate"]
    timestamps: Literal["none", "segment", "word"]
    initial_prompt: str
    hotwords: str
    temperatures: Sequence[float]
    beam_size: int
    patience: float
    length_penalty: float
    compression_ratio_threshold: float
    log_prob_threshold: float
    no_speech_threshold: float
    condition_on_previous_text: bool
    vad_filter: bool
    vad_parameters: VadParameters
    clip_start_seconds: float
    clip_end_seconds: float
    hallucination_silence_threshold_seconds: float
    audio_track: int
    live: bool


@dataclass(frozen=True)
class TlsOptions:
    """Paths of PEM files. ca_file: the authorities to trust, else gRPC's own list. cert_file and key_file: this side's
    certificate, where the server asks for one. server_name: the name the server's certificate must contain, else the host."""

    ca_file: PathLike | None = None
    cert_file: PathLike | None = None
    key_file: PathLike | None = None
    server_name: str | None = None
