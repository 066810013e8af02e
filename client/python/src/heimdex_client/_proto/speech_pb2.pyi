from heimdex_client._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AudioEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_ENCODING_UNSPECIFIED: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_PCM_S16LE: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_PCM_F32LE: _ClassVar[AudioEncoding]

class TranscribeTask(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSCRIBE_TASK_UNSPECIFIED: _ClassVar[TranscribeTask]
    TRANSCRIBE_TASK_TRANSCRIBE: _ClassVar[TranscribeTask]
    TRANSCRIBE_TASK_TRANSLATE: _ClassVar[TranscribeTask]

class Timestamps(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIMESTAMPS_UNSPECIFIED: _ClassVar[Timestamps]
    TIMESTAMPS_NONE: _ClassVar[Timestamps]
    TIMESTAMPS_SEGMENT: _ClassVar[Timestamps]
    TIMESTAMPS_WORD: _ClassVar[Timestamps]
AUDIO_ENCODING_UNSPECIFIED: AudioEncoding
AUDIO_ENCODING_PCM_S16LE: AudioEncoding
AUDIO_ENCODING_PCM_F32LE: AudioEncoding
TRANSCRIBE_TASK_UNSPECIFIED: TranscribeTask
TRANSCRIBE_TASK_TRANSCRIBE: TranscribeTask
TRANSCRIBE_TASK_TRANSLATE: TranscribeTask
TIMESTAMPS_UNSPECIFIED: Timestamps
TIMESTAMPS_NONE: Timestamps
TIMESTAMPS_SEGMENT: Timestamps
TIMESTAMPS_WORD: Timestamps

class RawAudio(_message.Message):
    __slots__ = ("encoding", "sample_rate_hz", "channel_count")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    encoding: AudioEncoding
    sample_rate_hz: int
    channel_count: int
    def __init__(self, encoding: _Optional[_Union[AudioEncoding, str]] = ..., sample_rate_hz: _Optional[int] = ..., channel_count: _Optional[int] = ...) -> None: ...

class AudioInput(_message.Message):
    __slots__ = ("content", "raw")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    raw: RawAudio
    def __init__(self, content: _Optional[bytes] = ..., raw: _Optional[_Union[RawAudio, _Mapping]] = ...) -> None: ...

class TranscribeOptions(_message.Message):
    __slots__ = ("language", "task", "timestamps", "initial_prompt", "hotwords", "temperatures", "beam_size", "compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold", "condition_on_previous_text", "vad_filter", "clip_start_seconds", "clip_end_seconds", "patience", "length_penalty", "hallucination_silence_threshold_seconds", "vad_parameters", "audio_track", "live")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMPS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_PROMPT_FIELD_NUMBER: _ClassVar[int]
    HOTWORDS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURES_FIELD_NUMBER: _ClassVar[int]
    BEAM_SIZE_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_RATIO_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    LOG_PROB_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NO_SPEECH_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CONDITION_ON_PREVIOUS_TEXT_FIELD_NUMBER: _ClassVar[int]
    VAD_FILTER_FIELD_NUMBER: _ClassVar[int]
    CLIP_START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CLIP_END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_PENALTY_FIELD_NUMBER: _ClassVar[int]
    HALLUCINATION_SILENCE_THRESHOLD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VAD_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_TRACK_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    language: str
    task: TranscribeTask
    timestamps: Timestamps
    initial_prompt: str
    hotwords: str
    temperatures: _containers.RepeatedScalarFieldContainer[float]
    beam_size: int
    compression_ratio_threshold: float
    log_prob_threshold: float
    no_speech_threshold: float
    condition_on_previous_text: bool
    vad_filter: bool
    clip_start_seconds: float
    clip_end_seconds: float
    patience: float
    length_penalty: float
    hallucination_silence_threshold_seconds: float
    vad_parameters: VadParameters
    audio_track: int
    live: bool
    def __init__(self, language: _Optional[str] = ..., task: _Optional[_Union[TranscribeTask, str]] = ..., timestamps: _Optional[_Union[Timestamps, str]] = ..., initial_prompt: _Optional[str] = ..., hotwords: _Optional[str] = ..., temperatures: _Optional[_Iterable[float]] = ..., beam_size: _Optional[int] = ..., compression_ratio_threshold: _Optional[float] = ..., log_prob_threshold: _Optional[float] = ..., no_speech_threshold: _Optional[float] = ..., condition_on_previous_text: _Optional[bool] = ..., vad_filter: _Optional[bool] = ..., clip_start_seconds: _Optional[float] = ..., clip_end_seconds: _Optional[float] = ..., patience: _Optional[float] = ..., length_penalty: _Optional[float] = ..., hallucination_silence_threshold_seconds: _Optional[float] = ..., vad_parameters: _Optional[_Union[VadParameters, _Mapping]] = ..., audio_track: _Optional[int] = ..., live: _Optional[bool] = ...) -> None: ...

class VadParameters(_message.Message):
    __slots__ = ("threshold", "neg_threshold", "min_speech_duration_ms", "max_speech_duration_s", "min_silence_duration_ms", "speech_pad_ms")
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NEG_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MIN_SPEECH_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_SPEECH_DURATION_S_FIELD_NUMBER: _ClassVar[int]
    MIN_SILENCE_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    SPEECH_PAD_MS_FIELD_NUMBER: _ClassVar[int]
    threshold: float
    neg_threshold: float
    min_speech_duration_ms: int
    max_speech_duration_s: float
    min_silence_duration_ms: int
    speech_pad_ms: int
    def __init__(self, threshold: _Optional[float] = ..., neg_threshold: _Optional[float] = ..., min_speech_duration_ms: _Optional[int] = ..., max_speech_duration_s: _Optional[float] = ..., min_silence_duration_ms: _Optional[int] = ..., speech_pad_ms: _Optional[int] = ...) -> None: ...

class AudioTrack(_message.Message):
    __slots__ = ("index", "codec", "language")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    codec: str
    language: str
    def __init__(self, index: _Optional[int] = ..., codec: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "start_seconds", "end_seconds", "probability")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_seconds: float
    end_seconds: float
    probability: float
    def __init__(self, text: _Optional[str] = ..., start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("id", "start_seconds", "end_seconds", "text", "tokens", "avg_log_prob", "compression_ratio", "no_speech_prob", "temperature", "words")
    ID_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    AVG_LOG_PROB_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    NO_SPEECH_PROB_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    id: int
    start_seconds: float
    end_seconds: float
    text: str
    tokens: _containers.RepeatedScalarFieldContainer[int]
    avg_log_prob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    words: _containers.RepeatedCompositeFieldContainer[Word]
    def __init__(self, id: _Optional[int] = ..., start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ..., text: _Optional[str] = ..., tokens: _Optional[_Iterable[int]] = ..., avg_log_prob: _Optional[float] = ..., compression_ratio: _Optional[float] = ..., no_speech_prob: _Optional[float] = ..., temperature: _Optional[float] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ...) -> None: ...

class TranscribeRequest(_message.Message):
    __slots__ = ("audio", "options")
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    audio: AudioInput
    options: TranscribeOptions
    def __init__(self, audio: _Optional[_Union[AudioInput, _Mapping]] = ..., options: _Optional[_Union[TranscribeOptions, _Mapping]] = ...) -> None: ...

class TranscribeResponse(_message.Message):
    __slots__ = ("text", "language", "language_probability", "duration_seconds", "speech_seconds", "segments", "model", "timing", "warnings", "audio_track")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SPEECH_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_TRACK_FIELD_NUMBER: _ClassVar[int]
    text: str
    language: str
    language_probability: float
    duration_seconds: float
    speech_seconds: float
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    model: _common_pb2.Model
    timing: _common_pb2.Timing
    warnings: _containers.RepeatedScalarFieldContainer[str]
    audio_track: AudioTrack
    def __init__(self, text: _Optional[str] = ..., language: _Optional[str] = ..., language_probability: _Optional[float] = ..., duration_seconds: _Optional[float] = ..., speech_seconds: _Optional[float] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., model: _Optional[_Union[_common_pb2.Model, _Mapping]] = ..., timing: _Optional[_Union[_common_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., audio_track: _Optional[_Union[AudioTrack, _Mapping]] = ...) -> None: ...

class TranscribeStart(_message.Message):
    __slots__ = ("raw", "options")
    RAW_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    raw: RawAudio
    options: TranscribeOptions
    def __init__(self, raw: _Optional[_Union[RawAudio, _Mapping]] = ..., options: _Optional[_Union[TranscribeOptions, _Mapping]] = ...) -> None: ...

class TranscribeStreamRequest(_message.Message):
    __slots__ = ("start", "audio")
    START_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    start: TranscribeStart
    audio: bytes
    def __init__(self, start: _Optional[_Union[TranscribeStart, _Mapping]] = ..., audio: _Optional[bytes] = ...) -> None: ...

class TranscribeProgress(_message.Message):
    __slots__ = ("processed_seconds",)
    PROCESSED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    processed_seconds: float
    def __init__(self, processed_seconds: _Optional[float] = ...) -> None: ...

class TranscribePartial(_message.Message):
    __slots__ = ("text", "start_seconds", "end_seconds")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_seconds: float
    end_seconds: float
    def __init__(self, text: _Optional[str] = ..., start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ...) -> None: ...

class TranscribeSummary(_message.Message):
    __slots__ = ("language", "language_probability", "duration_seconds", "speech_seconds", "model", "timing", "warnings", "audio_track")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SPEECH_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_TRACK_FIELD_NUMBER: _ClassVar[int]
    language: str
    language_probability: float
    duration_seconds: float
    speech_seconds: float
    model: _common_pb2.Model
    timing: _common_pb2.Timing
    warnings: _containers.RepeatedScalarFieldContainer[str]
    audio_track: AudioTrack
    def __init__(self, language: _Optional[str] = ..., language_probability: _Optional[float] = ..., duration_seconds: _Optional[float] = ..., speech_seconds: _Optional[float] = ..., model: _Optional[_Union[_common_pb2.Model, _Mapping]] = ..., timing: _Optional[_Union[_common_pb2.Timing, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., audio_track: _Optional[_Union[AudioTrack, _Mapping]] = ...) -> None: ...

class TranscribeStreamResponse(_message.Message):
    __slots__ = ("segment", "progress", "summary", "partial")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    segment: Segment
    progress: TranscribeProgress
    summary: TranscribeSummary
    partial: TranscribePartial
    def __init__(self, segment: _Optional[_Union[Segment, _Mapping]] = ..., progress: _Optional[_Union[TranscribeProgress, _Mapping]] = ..., summary: _Optional[_Union[TranscribeSummary, _Mapping]] = ..., partial: _Optional[_Union[TranscribePartial, _Mapping]] = ...) -> None: ...
