from heimdex_client._proto import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TextModel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_MODEL_UNSPECIFIED: _ClassVar[TextModel]
    TEXT_MODEL_VISION: _ClassVar[TextModel]
    TEXT_MODEL_TEXT: _ClassVar[TextModel]
TEXT_MODEL_UNSPECIFIED: TextModel
TEXT_MODEL_VISION: TextModel
TEXT_MODEL_TEXT: TextModel

class EmbedImageRequest(_message.Message):
    __slots__ = ("images", "encoding", "normalize")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[_common_pb2.ImageInput]
    encoding: _common_pb2.VectorEncoding
    normalize: bool
    def __init__(self, images: _Optional[_Iterable[_Union[_common_pb2.ImageInput, _Mapping]]] = ..., encoding: _Optional[_Union[_common_pb2.VectorEncoding, str]] = ..., normalize: _Optional[bool] = ...) -> None: ...

class EmbedImageResponse(_message.Message):
    __slots__ = ("results", "dimensions", "model", "timing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_common_pb2.EmbeddingResult]
    dimensions: int
    model: _common_pb2.Model
    timing: _common_pb2.Timing
    def __init__(self, results: _Optional[_Iterable[_Union[_common_pb2.EmbeddingResult, _Mapping]]] = ..., dimensions: _Optional[int] = ..., model: _Optional[_Union[_common_pb2.Model, _Mapping]] = ..., timing: _Optional[_Union[_common_pb2.Timing, _Mapping]] = ...) -> None: ...

class EmbedTextRequest(_message.Message):
    __slots__ = ("texts", "model", "encoding", "normalize", "truncate")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATE_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    model: TextModel
    encoding: _common_pb2.VectorEncoding
    normalize: bool
    truncate: bool
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[TextModel, str]] = ..., encoding: _Optional[_Union[_common_pb2.VectorEncoding, str]] = ..., normalize: _Optional[bool] = ..., truncate: _Optional[bool] = ...) -> None: ...

class EmbedTextResponse(_message.Message):
    __slots__ = ("results", "dimensions", "model", "timing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_common_pb2.EmbeddingResult]
    dimensions: int
    model: _common_pb2.Model
    timing: _common_pb2.Timing
    def __init__(self, results: _Optional[_Iterable[_Union[_common_pb2.EmbeddingResult, _Mapping]]] = ..., dimensions: _Optional[int] = ..., model: _Optional[_Union[_common_pb2.Model, _Mapping]] = ..., timing: _Optional[_Union[_common_pb2.Timing, _Mapping]] = ...) -> None: ...
