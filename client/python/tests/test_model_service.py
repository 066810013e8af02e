"""The old client's calls, as the old worker makes them, on a real server."""

from __future__ import annotations

import os
import unittest
from typing import IO, Any
from unittest import mock

import grpc
from support import ADDRESS, ELEPHANT, SAID, SPEECH, TWO_FACES, fake_server, refuse

from heimdex_client import FeatureDisabledError, HeimdexClient, InvalidArgumentError, ModelServiceClient


class PilImage:
    """What the client needs of a PIL image."""

    def save(self, buffer: IO[bytes], format: str) -> None:  # noqa: A002, Pillow's name
        assert format == "PNG"
        buffer.write(ELEPHANT.read_bytes())


class ModelServiceClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with mock.patch.dict(os.environ, {"MODEL_SERVICE_URL": f"http://{ADDRESS}/"}):
            cls.client = ModelServiceClient(timeout=600.0)
        cls.addClassCleanup(cls.client.close)

    def test_waits_as_long_as_the_rpc_may_take_unless_told_otherwise(self) -> None:
        limits: list[float] = []

        def unary(_request: bytes, context: Any) -> bytes:
            limits.append(context.time_remaining())
            refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
            return b""

        with fake_server(unary) as port:
            for settings in ({}, {"timeout": 45.0}):
                with ModelServiceClient(f"http://127.0.0.1:{port}", **settings) as client:
                    self.assertRaises(InvalidArgumentError, client.transcribe_audio, str(SPEECH))
                    self.assertRaises(InvalidArgumentError, client.detect_faces, str(TWO_FACES))
        self.assertEqual([round(limit, -1) for limit in limits[:2]], [600, 60])
        self.assertLess(max(limits[2:]), 46)

    def test_health_check(self) -> None:
        health = self.client.health_check()
        self.assertEqual(health.keys(), {"status", "models_loaded", "device", "memory_used_gb", "uptime_seconds"})
        self.assertEqual((health["status"], health["device"]), ("healthy", "cpu"))
        self.assertLess({"siglip", "yunet"}, set(health["models_loaded"]))

    def test_transcribe_audio(self) -> None:
        answer = self.client.transcribe_audio(str(SPEECH), language="en")
        self.assertEqual(answer.keys(), {"text", "segments", "language", "latency_ms"})
        self.assertTrue(answer["text"].startswith(SAID), answer["text"])
        self.assertLessEqual({"id", "start", "end", "text", "avg_logprob"}, answer["segments"][0].keys())
        self.assertLess(answer["segments"][0]["start"], answer["segments"][0]["end"])

    def test_embeddings_keep_their_length_and_give_lists(self) -> None:
        with HeimdexClient(ADDRESS) as client:
            (text,) = client.embed_texts(["an elephant"], normalize=False).vectors
            (image,) = client.embed_images([ELEPHANT], normalize=False).vectors
        self.assertEqual(self.client.generate_text_embedding("an elephant", model="siglip").tolist(), text.tolist())
        self.assertEqual(self.client.generate_vision_embedding(PilImage()).tolist(), image.tolist())
        with self.assertRaises(FeatureDisabledError):
            self.client.generate_text_embedding("an elephant", model="bge-m3")
        with self.assertRaisesRegex(ValueError, "'siglip' or 'bge-m3'"):
            self.client.generate_text_embedding("an elephant", model="other")

    def test_detect_faces(self) -> None:
        faces = self.client.detect_faces(str(TWO_FACES))
        self.assertEqual(len(faces), 3)
        self.assertEqual(faces[0].keys(), {"bbox", "confidence", "landmarks"})
        self.assertEqual((len(faces[0]["bbox"]), [len(point) for point in faces[0]["landmarks"]]), (4, [2] * 5))
        with HeimdexClient(ADDRESS) as client:
            (found,) = client.detect_faces([TWO_FACES], score_threshold=0.6).detections
        self.assertEqual([face["confidence"] for face in faces], [face.score for face in found.faces])
