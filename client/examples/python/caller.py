"""Calls a Heimdex inference server: python3 caller.py ADDRESS AUDIO IMAGE..."""

import array
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "generated"))

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from heimdex.inference.v1 import common_pb2, embedding_pb2, faces_pb2, inference_service_pb2_grpc, speech_pb2

CHUNK_BYTES = 64 * 1024


def vector(result: common_pb2.EmbeddingResult) -> array.array:
    """Returns the vector of one item, or raises the item's error."""
    if result.WhichOneof("result") == "error":
        raise ValueError(result.error.message)
    numbers = array.array("f", result.embedding.float32_le)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def chunks(path: Path):
    """Yields the requests of TranscribeStream: the options first, then the bytes in chunks of any size."""
    start = speech_pb2.TranscribeStart(options=speech_pb2.TranscribeOptions(language="en"))
    yield speech_pb2.TranscribeStreamRequest(start=start)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield speech_pb2.TranscribeStreamRequest(audio=chunk)


def explain(error: grpc.RpcError) -> str:
    """Formats the status, reason and fields of a failed call."""
    status = rpc_status.from_call(error)
    words = [error.code().name, error.details()]
    for detail in status.details if status else []:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            words.append(info.reason)
        if detail.Unpack(request):
            words.extend(violation.field for violation in request.field_violations)
    return " ".join(words)


def main(address: str, audio: Path, images: list[Path]) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)

        for answer in stub.TranscribeStream(chunks(audio), timeout=300):
            if answer.WhichOneof("message") == "segment":
                print("transcript:", answer.segment.text.strip())

        inputs = [common_pb2.ImageInput(content=image.read_bytes()) for image in images]
        encoding = common_pb2.VECTOR_ENCODING_FLOAT32_LE
        embedded = stub.EmbedImage(embedding_pb2.EmbedImageRequest(images=inputs, encoding=encoding), timeout=60)
        query = stub.EmbedText(embedding_pb2.EmbedTextRequest(texts=["elephant"], encoding=encoding), timeout=60)
        # Never compare vectors of two models.
        assert query.model == embedded.model
        words = vector(query.results[0])
        scores = [sum(a * b for a, b in zip(words, vector(result))) for result in embedded.results]
        print("elephant:", max(zip(scores, (image.name for image in images)))[1])

        found = stub.DetectFaces(faces_pb2.DetectFacesRequest(images=inputs[:1]), timeout=60)
        print("faces:", len(found.results[0].detections.faces))

        try:
            stub.EmbedText(embedding_pb2.EmbedTextRequest(), timeout=60)
        except grpc.RpcError as error:
            print("refused:", explain(error))


main(sys.argv[1], Path(sys.argv[2]), [Path(image) for image in sys.argv[3:]])
