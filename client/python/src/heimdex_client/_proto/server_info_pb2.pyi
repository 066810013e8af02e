from heimdex_client._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BatchPolicy(_message.Message):
    __slots__ = ("shared", "max_items", "reason", "max_cost", "cost_unit")
    SHARED_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    COST_UNIT_FIELD_NUMBER: _ClassVar[int]
    shared: bool
    max_items: int
    reason: str
    max_cost: float
    cost_unit: str
    def __init__(self, shared: _Optional[bool] = ..., max_items: _Optional[int] = ..., reason: _Optional[str] = ..., max_cost: _Optional[float] = ..., cost_unit: _Optional[str] = ...) -> None: ...

class LoadedModel(_message.Message):
    __slots__ = ("role", "model", "dimensions", "device", "load_seconds", "memory_bytes", "family", "workers", "threads", "batch_policy")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    BATCH_POLICY_FIELD_NUMBER: _ClassVar[int]
    role: str
    model: _common_pb2.Model
    dimensions: int
    device: str
    load_seconds: float
    memory_bytes: int
    family: str
    workers: int
    threads: int
    batch_policy: BatchPolicy
    def __init__(self, role: _Optional[str] = ..., model: _Optional[_Union[_common_pb2.Model, _Mapping]] = ..., dimensions: _Optional[int] = ..., device: _Optional[str] = ..., load_seconds: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., family: _Optional[str] = ..., workers: _Optional[int] = ..., threads: _Optional[int] = ..., batch_policy: _Optional[_Union[BatchPolicy, _Mapping]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_batch_items", "max_audio_seconds", "max_image_pixels", "max_queue")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_batch_items: int
    max_audio_seconds: float
    max_image_pixels: int
    max_queue: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_batch_items: _Optional[int] = ..., max_audio_seconds: _Optional[float] = ..., max_image_pixels: _Optional[int] = ..., max_queue: _Optional[int] = ...) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "uptime_seconds", "models", "limits", "audio_formats", "image_formats")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FORMATS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FORMATS_FIELD_NUMBER: _ClassVar[int]
    version: str
    uptime_seconds: float
    models: _containers.RepeatedCompositeFieldContainer[LoadedModel]
    limits: Limits
    audio_formats: _containers.RepeatedScalarFieldContainer[str]
    image_formats: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., uptime_seconds: _Optional[float] = ..., models: _Optional[_Iterable[_Union[LoadedModel, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., audio_formats: _Optional[_Iterable[str]] = ..., image_formats: _Optional[_Iterable[str]] = ...) -> None: ...
