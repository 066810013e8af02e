"""Calls of many items: their requests, and the results of each item. Nothing here sends anything."""

from __future__ import annotations

import math
import os
import reprlib
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from ._messages import made, malformed, plain, read_content
from ._proto import common_pb2, embedding_pb2, faces_pb2
from .answers import DetectedFaces, Embedding, Embeddings, FaceDetections, Limits, Model, Timing, vector_of
from .errors import ItemError, ModelMismatchError, make_error
from .options import Content, Errors

_T = TypeVar("_T")
_ENCODING = common_pb2.VECTOR_ENCODING_FLOAT32_LE
_TEXT_MODELS = {"vision": embedding_pb2.TEXT_MODEL_VISION, "text": embedding_pb2.TEXT_MODEL_TEXT}


@dataclass(frozen=True)
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
        # 0: the server does not tell.
        room = (limits.max_message_bytes or math.inf) - 1024
        most = limits.max_batch_items or math.inf
        begin, used = 0, 0
        for index, size in enumerate(self.sizes):
            size += 16  # Tags and lengths.
            if index > begin and (index - begin >= most or used + size > room):
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
    return Batch(
        "EmbedImage", contents, sizes, request, lambda responses: _embeddings("EmbedImage", len(sizes), responses, raises)
    )


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
    given = made(faces_pb2.DetectFacesRequest, **settings)

    def request(part: Sequence[bytes]) -> Message:
        images = [common_pb2.ImageInput(content=content) for content in part]
        message = faces_pb2.DetectFacesRequest(images=images)
        message.MergeFrom(given)
        return message

    def merge(responses: Sequence[faces_pb2.DetectFacesResponse]) -> DetectedFaces:
        model, timing = _provenance("DetectFaces", responses)
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
    model, timing = _provenance(method, responses)
    dimensions = responses[0].dimensions

    def embedding(found: common_pb2.Embedding) -> Embedding:
        if len(found.float32_le) != 4 * dimensions:
            raise malformed(method, f"a vector of {len(found.float32_le)} bytes for {dimensions} dimensions")
        return Embedding(vector_of(found.float32_le), found.token_count, found.truncated)

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
            raise malformed(method, f"a result without {kind} or an error")
        failed = ItemError(len(results), make_error(result.error))
        if raises:
            raise failed.among(count)
        results.append(failed)
    if len(results) != count:
        raise malformed(method, f"{len(results)} results for {count} inputs")
    return tuple(results)


def _provenance(method: str, responses: Sequence[Any]) -> tuple[Model, Timing]:
    """The one model of all parts, and where their time went together."""
    models = {plain(Model, response.model) for response in responses}
    if len(models) > 1:
        names = ", ".join(sorted(f"{model.id}@{model.revision[:7]} {model.variant}" for model in models))
        message = f"Parts of one batch were answered by different models ({names}), whose vectors cannot be compared: call again"
        raise ModelMismatchError(message, code="FAILED_PRECONDITION", reason="MODEL_MISMATCH", method=method)
    timings = [plain(Timing, response.timing) for response in responses]
    timing = Timing(
        max(each.queue_ms for each in timings),
        sum(each.run_ms for each in timings),
        max(each.batch_size for each in timings),
    )
    return models.pop(), timing
