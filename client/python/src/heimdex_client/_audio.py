"""Audio as a stream of chunks."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import select
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ._proto import speech_pb2
from .options import Content

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK_BYTES = 64 * 1024

# How the items of an array of these samples are named, by memoryview and in words.
_ITEMS: dict[int, tuple[str, str]] = {
    speech_pb2.AUDIO_ENCODING_PCM_S16LE: ("h", "int16"),
    speech_pb2.AUDIO_ENCODING_PCM_F32LE: ("f", "float32"),
}

AudioChunks = Content | Iterable["Buffer"]
AudioSource = AudioChunks | Callable[[], AudioChunks]
"""What transcribe_stream takes: a file's bytes, its path, an open file, chunks of any size, or a function that gives one of these."""

AsyncAudioSource = AudioSource | AsyncIterable["Buffer"] | Callable[[], AsyncIterable["Buffer"]]


def is_repeatable(audio: AsyncAudioSource) -> bool:
    """Whether the audio can be read from its start again, so that the call can be retried before its first answer."""
    if callable(audio) or isinstance(audio, (bytes, bytearray, memoryview, str, os.PathLike)):
        return True
    if hasattr(audio, "read") or isinstance(audio, (Iterator, AsyncIterator)):
        return False
    return True


def chunks_of(audio: AudioChunks, encoding: int = 0) -> Iterator[bytes]:
    """The audio's bytes from its start, in parts that fit into a message. encoding: the AudioEncoding of raw samples, 0 for a file."""
    if isinstance(audio, (str, os.PathLike)):
        return _path_chunks(audio)
    if hasattr(audio, "read"):
        return (part for chunk in _file_chunks(audio) for part in parts_of(chunk, encoding))
    if _has_bytes(audio):  # An array of samples, too, which as an iterable would be a message a sample.
        return parts_of(audio, encoding)
    return (part for chunk in audio for part in parts_of(chunk, encoding))


async def async_chunks_of(audio: AsyncAudioSource, encoding: int = 0) -> AsyncIterator[bytes]:
    """The same of what is read asynchronously, too."""
    given: Any = audio() if callable(audio) else audio
    read = getattr(given, "read", None)
    if inspect.iscoroutinefunction(read):
        # As an iterable, a StreamReader gives lines, and fails at one that is longer than its buffer.
        while chunk := await read(CHUNK_BYTES):
            for part in parts_of(chunk, encoding):
                yield part
        return
    if hasattr(given, "__aiter__"):
        async for chunk in given:
            for part in parts_of(chunk, encoding):
                yield part
        return
    chunks, thread, context = chunks_of(given, encoding), _Thread(), copy_context()
    try:
        while (chunk := await thread.call(lambda: context.run(next, chunks, None))) is not None:
            yield chunk
    finally:
        thread.end()


class _Thread:
    """Makes calls, one after another, in a thread of its own: asyncio's are few, and audio that is live, or waits, would keep them from
    everything else. Unlike the thread of an executor, it does not keep the program from ending while a call waits."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def call(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((future, function))
        return asyncio.wrap_future(future)

    def end(self) -> None:
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001, it is raised where the call is awaited
                future.set_exception(error)


def _has_bytes(given: Any) -> bool:
    try:
        memoryview(given)
    except TypeError:
        return False
    return True


def parts_of(chunk: Any, encoding: int) -> Iterator[bytes]:
    """A chunk in parts that fit into a message. Raises TypeError for what has no bytes, and for an array of other samples, whose
    bytes would be noise: numpy's floats have 64 bits unless told otherwise."""
    if not _has_bytes(chunk):
        raise TypeError(f"Expected audio in chunks of bytes, got {type(chunk).__name__}")
    view = memoryview(chunk)
    item, name = _ITEMS.get(encoding, (None, ""))
    if item is not None and view.itemsize > 1 and view.format.lstrip("@=<") != item:
        raise TypeError(f"Expected an array of {name}, as raw.encoding says, got {getattr(chunk, 'dtype', repr(view.format))}")
    if view.format != "B" or view.ndim != 1 or not view.contiguous:
        view = memoryview(view.tobytes())
    return (bytes(view[at : at + CHUNK_BYTES]) for at in range(0, len(view), CHUNK_BYTES))


def _path_chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from _file_chunks(file)


def _file_chunks(file: Any) -> Iterator[bytes]:
    # What a pipe has so far: live audio would wait until a whole chunk of it is spoken.
    read = file.read1 if isinstance(file, io.BufferedReader) else file.read
    wait = _wait_for(file)
    while wait() and (chunk := read(CHUNK_BYTES)):
        yield chunk


def _wait_for(file: Any) -> Callable[[], object]:
    """A function that returns, true, when there is something to read, or the end. A thread that waits in a read of standard input holds
    its lock, without which Python aborts at the end of the program."""
    if getattr(file, "name", None) == "<stdin>" and os.name == "posix":
        return lambda: select.select([file], [], [])
    return lambda: True
