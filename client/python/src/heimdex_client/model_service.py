"""The calls of the Python model service's client over gRPC: programs written for it run by changing an import."""

from __future__ import annotations

import io
import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .answers import Segment, Vector
from .client import HeimdexClient
from .errors import UnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

_MODELS = {"siglip": "vision", "bge-m3": "text"}
_SCORE_THRESHOLD, _NMS_THRESHOLD = 0.6, 0.3  # As the service had them; the server's own default is 0.7.


class ModelServiceClient:
    """Names, arguments and answers of the service's client; errors are HeimdexErrors.

    base_url: "http://host:port" or "https://host:port". Default: MODEL_SERVICE_URL, else http://localhost:8001.
    timeout: seconds a call may take. Default: that of the rpc in DEFAULT_TIMEOUTS, 600 for speech. Further settings are those
    of HeimdexClient.
    """

    def __init__(self, base_url: str | None = None, timeout: float | None = None, **settings: Any) -> None:
        self.base_url = base_url or os.getenv("MODEL_SERVICE_URL") or "http://localhost:8001"
        self.timeout = timeout
        self.client = HeimdexClient(self.base_url, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.client.close()

    def health_check(self) -> dict[str, Any]:
        """status, models_loaded, device, memory_used_gb, uptime_seconds. A server that does not serve: UnavailableError."""
        serving = self.client.health(timeout=self.timeout)
        if serving != "SERVING":
            raise UnavailableError(f"{self.base_url} is {serving}", code="UNAVAILABLE", method="Check")
        info = self.client.server_info(timeout=self.timeout)
        return {
            "status": "healthy",
            "models_loaded": [model.family for model in info.models],
            "device": "cuda" if any(model.device == "cuda" for model in info.models) else "cpu",
            "memory_used_gb": sum(model.memory_bytes for model in info.models) / 1024**3,
            "uptime_seconds": info.uptime_seconds,
        }

    def transcribe_audio(self, audio_path: str, language: str | None = None) -> dict[str, Any]:
        """text, segments, language, latency_ms. Segments have openai-whisper's keys but `seek`. The file may be of any size."""
        begin = time.monotonic()
        options: dict[str, Any] = {} if language is None else {"language": language}
        transcript = self.client.transcribe(audio_path, timeout=self.timeout, **options)
        return {
            "text": transcript.text,
            "segments": [_segment(segment) for segment in transcript.segments],
            "language": transcript.language,
            "latency_ms": (time.monotonic() - begin) * 1000,
        }

    def generate_text_embedding(self, text: str, model: str = "siglip") -> Vector:
        """model: "siglip" (not scaled to length 1) or "bge-m3" (length 1). float32, a numpy array where numpy is installed."""
        if model not in _MODELS:
            raise ValueError(f"Expected model to be 'siglip' or 'bge-m3', got {model!r}")
        name: Any = _MODELS[model]
        answer = self.client.embed_texts([text], model=name, normalize=name == "text", errors="raise", timeout=self.timeout)
        return answer.vectors[0]

    def generate_vision_embedding(self, image: Any) -> Vector:
        """image: a PIL image. The vector is not scaled to length 1: a mean of several is weighted as it was."""
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        answer = self.client.embed_images([buffer.getvalue()], normalize=False, errors="raise", timeout=self.timeout)
        return answer.vectors[0]

    def detect_faces(self, image_path: str) -> list[dict[str, Any]]:
        """bbox [x, y, width, height], confidence and five landmarks [x, y] of each face from score 0.6 on."""
        answer = self.client.detect_faces(
            [image_path],
            score_threshold=_SCORE_THRESHOLD,
            nms_threshold=_NMS_THRESHOLD,
            errors="raise",
            timeout=self.timeout,
        )
        faces = answer.detections[0].faces
        return [
            {
                "bbox": [face.box.x, face.box.y, face.box.width, face.box.height],
                "confidence": face.score,
                "landmarks": [[point.x, point.y] for point in vars(face.landmarks).values()],
            }
            for face in faces
        ]


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "start": segment.start_seconds,
        "end": segment.end_seconds,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_log_prob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
