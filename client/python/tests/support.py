"""The server and the samples that the tests call, and a server that answers as a test says."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from heimdex_client import TranscribePartial
from heimdex_client._proto import error_details_pb2, server_info_pb2, speech_pb2, status_pb2

ADDRESS = os.environ.get("HEIMDEX_ADDRESS", "localhost:8001")
SAMPLES = Path(__file__).resolve().parents[3] / "demo/samples"
SPEECH = SAMPLES / "speech/search.flac"
SAID = "You can search a video by the words"
ELEPHANT, PENGUIN, HEART = (SAMPLES / "images" / name for name in ("06-elephant.jpg", "07-penguin.png", "01-red-heart.png"))
TWO_FACES = SAMPLES / "faces/faces_2.png"
INFO = server_info_pb2.GetServerInfoResponse(version="1").SerializeToString()


def padded_flac(size: int) -> bytes:
    """The speech with a padding block in front of its sound: a large file with little audio."""
    flac = SPEECH.read_bytes()
    header, rest = flac[4:42], flac[42:]
    assert flac[:4] == b"fLaC" and header[0] == 0, "STREAMINFO first, and not the last block"
    return b"fLaC" + header + b"\x01" + size.to_bytes(3, "big") + bytes(size) + rest


def refuse(context: Any, code: grpc.StatusCode, reason: str, retry_after_ms: int | None = None) -> None:
    """Ends a call of a FakeServer as the server does."""
    status = status_pb2.Status(code=code.value[0], message=reason.lower())
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
    if retry_after_ms is not None:
        delay = {"seconds": retry_after_ms // 1000, "nanos": retry_after_ms % 1000 * 1_000_000}
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
    context.abort(code, status.message)


@contextmanager
def fake_server(
    unary: Callable[[bytes, Any], bytes] | None = None,
    stream: Callable[[Iterator[bytes], Any], Iterator[bytes]] | None = None,
    credentials: grpc.ServerCredentials | None = None,
    watch: Callable[[bytes, Any], Iterator[bytes]] | None = None,
) -> Iterator[int]:
    """A server on a port of its own that answers every unary call, or every stream, by a function of raw messages. `watch`: its health."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            if details.method.endswith("/Watch"):
                return None if watch is None else grpc.unary_stream_rpc_method_handler(watch)
            if stream is not None:
                return grpc.stream_stream_rpc_method_handler(stream)
            return grpc.unary_unary_rpc_method_handler(unary)

    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handler()])
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


@contextmanager
def http_proxy(status: str) -> Iterator[int]:
    """
    A port whose answer to a call is an HTTP status, as of a proxy that does not pass on gRPC; "RST 8": it resets the call;
    "no trailers": it ends the answer as HTTP/1.1 does, without a status.
    """

    def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
        return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body

    def answer_on(stream: int) -> bytes:
        if status == "no trailers":
            return frame(1, 4, stream, b"\x88\x0f\x10\x10application/grpc") + frame(0, 1, stream, bytes(5))
        if status.startswith("RST "):
            return frame(3, 0, stream, int(status[4:]).to_bytes(4, "big"))
        # HEADERS that end the stream: 0x08 is the name :status.
        return frame(1, 5, stream, b"\x08\x03" + status.encode())

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader:
            reader.read(24)  # The preface.
            connection.sendall(frame(4, 0, 0))  # SETTINGS
            while head := reader.read(9):
                reader.read(int.from_bytes(head[:3], "big"))
                if head[3] == 1:  # HEADERS
                    connection.sendall(answer_on(int.from_bytes(head[5:], "big")))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def collecting(received: list[bytes]) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
    """A FakeServer's stream that keeps the audio it gets, and answers with a summary."""

    def stream(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        received.extend(speech_pb2.TranscribeStreamRequest.FromString(request).audio for request in requests)
        yield speech_pb2.TranscribeStreamResponse(summary={}).SerializeToString()

    return stream


SPOKEN_LIVE = [TranscribePartial(" He", 0.25, 0.5), TranscribePartial(" He was", 0.25, 0.75)]


def live_speech(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    """A FakeServer's stream that has partial results where they are asked for."""
    start = speech_pb2.TranscribeStreamRequest.FromString(next(requests)).start
    if not start.options.live:
        refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    all(requests)  # The end of the call would meet the client's writes.
    for partial in SPOKEN_LIVE:
        yield speech_pb2.TranscribeStreamResponse(partial=vars(partial)).SerializeToString()
    yield speech_pb2.TranscribeStreamResponse(segment={"text": " He was."}).SerializeToString()
    yield speech_pb2.TranscribeStreamResponse(summary={}).SerializeToString()


def cut_off(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
    """A FakeServer's stream of which the end was lost on the way, its status OK nevertheless."""
    all(requests)
    yield speech_pb2.TranscribeStreamResponse(segment={"text": " He was."}).SerializeToString()
