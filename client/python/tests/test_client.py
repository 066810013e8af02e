"""HeimdexClient on a real server whose batches hold 24 items and whose messages hold 4 MiB."""

from __future__ import annotations

import dataclasses
import io
import tempfile
import tracemalloc
import unittest
from collections.abc import Iterator
from pathlib import Path

from support import ADDRESS, ELEPHANT, HEART, PENGUIN, SAID, SPEECH, TWO_FACES, collecting, fake_server, padded_flac

from heimdex_client import (
    Embedding,
    FaceDetections,
    FeatureDisabledError,
    HeimdexClient,
    ImageUnreadableError,
    InvalidArgumentError,
    ItemError,
    NotFoundError,
    Segment,
    TranscribeProgress,
    TranscribeSummary,
)
from heimdex_client.answers import vector_of


def dot(one: Iterator[float], other: Iterator[float]) -> float:
    return float(sum(a * b for a, b in zip(one, other, strict=True)))


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.client = HeimdexClient(ADDRESS)
        cls.addClassCleanup(cls.client.close)

    def test_transcribes_bytes_and_an_open_file(self) -> None:
        with SPEECH.open("rb") as file:
            transcripts = [self.client.transcribe(audio, language="en") for audio in (SPEECH.read_bytes(), file)]
        for transcript in transcripts:
            self.assertTrue(transcript.text.startswith(SAID), transcript.text)
            self.assertEqual(transcript.language, "en")
            self.assertAlmostEqual(transcript.duration_seconds, 6.13, places=2)
            self.assertEqual("".join(segment.text for segment in transcript.segments).strip(), transcript.text)

    def test_sends_audio_that_is_larger_than_a_message_as_a_stream(self) -> None:
        transcript = self.client.transcribe(padded_flac(5 * 1024 * 1024))
        self.assertTrue(transcript.text.startswith(SAID), transcript.text)
        self.assertEqual(transcript.audio_track.codec, "FLAC")

    def test_does_not_read_a_file_into_memory_that_is_larger_than_a_message(self) -> None:
        size = 12 * 1024 * 1024
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "long.flac")
            path.write_bytes(padded_flac(size))
            tracemalloc.start()
            try:
                transcript = self.client.transcribe(path)
                _now, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        self.assertTrue(transcript.text.startswith(SAID), transcript.text)
        self.assertLess(most, size / 2)

    def test_streams_segments_progress_and_a_summary_last(self) -> None:
        audio = SPEECH.read_bytes()
        events = list(self.client.transcribe_stream(audio[at : at + 1000] for at in range(0, len(audio), 1000)))
        segments = [event for event in events if isinstance(event, Segment)]
        self.assertTrue("".join(segment.text for segment in segments).strip().startswith(SAID))
        self.assertTrue(any(isinstance(event, TranscribeProgress) for event in events))
        self.assertIsInstance(events[-1], TranscribeSummary)
        self.assertGreater(events[-1].timing.run_ms, 0)

    def test_takes_chunks_of_any_size_and_refuses_what_is_no_bytes(self) -> None:
        audio, received = bytes(range(256)) * 20_000, list[bytes]()
        with fake_server(stream=collecting(received)) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            list(client.transcribe_stream([audio, b"end"]))
        self.assertEqual(b"".join(received), audio + b"end")
        # An array of samples is an iterable of numbers, of which bytes() would make as many zeros.
        for chunk in (16_000, "text"):
            with self.assertRaisesRegex(TypeError, f"Expected audio in chunks of bytes, got {type(chunk).__name__}"):
                list(self.client.transcribe_stream([chunk]))  # type: ignore[list-item]

    def test_raises_an_error_of_the_audio_itself(self) -> None:
        def broken() -> Iterator[bytes]:
            yield SPEECH.read_bytes()[:1000]
            raise OSError("the disk is gone")

        with self.assertRaisesRegex(OSError, "the disk is gone"):
            list(self.client.transcribe_stream(broken()))

    def test_leaving_a_stream_ends_it(self) -> None:
        for _event in self.client.transcribe_stream(SPEECH):
            break
        self.assertEqual(self.client.health(), "SERVING")

    def test_finds_an_image_by_words(self) -> None:
        images = self.client.embed_images([ELEPHANT, PENGUIN, HEART])
        texts = self.client.embed_texts(["a red heart", "a penguin"])
        self.assertEqual(images.model, texts.model)
        self.assertEqual(images.dimensions, 192)
        best = [max(range(3), key=lambda index: dot(text, images.vectors[index])) for text in texts.vectors]
        self.assertEqual(best, [2, 1])
        for vector in images.vectors:
            self.assertEqual(memoryview(vector).format, "f")
            self.assertAlmostEqual(dot(vector, vector), 1, places=5)
        plain = self.client.embed_images([ELEPHANT], normalize=False).vectors[0]
        self.assertGreater(abs(dot(plain, plain) - 1), 0.01)

    def test_splits_a_batch_that_is_larger_than_the_server_takes(self) -> None:
        names = ["elephant", "penguin", "red heart", "pizza", "owl", "cactus", "volcano", "bicycle", "octopus"]
        self.assertEqual(self.client.server_info().limits.max_batch_items, 24)
        together = self.client.embed_texts(names * 3)
        self.assertEqual(len(together.results), 27)
        alone = [self.client.embed_texts([name]).vectors[0] for name in names]
        for vector, own in zip(together.vectors, alone * 3, strict=True):
            self.assertGreater(dot(vector, own), 0.9999)

    def test_answers_can_be_compared_and_kept_in_a_set(self) -> None:
        snow, other = Embedding(vector_of(bytes(8)), 1, False), Embedding(vector_of(b"vector.."), 1, False)
        again = Embedding(vector_of(bytes(8)), 1, False)
        self.assertEqual({snow, other, again}, {other, again})
        self.assertNotEqual(snow, dataclasses.replace(again, truncated=True))
        self.assertNotEqual(snow, snow.vector)

    def test_gives_the_error_of_an_item_as_a_value_or_raises_it(self) -> None:
        images = [ELEPHANT, b"no image", PENGUIN, HEART, ELEPHANT, b"none either"]
        answer = self.client.embed_images(images)
        broken = [result for result in answer.results if isinstance(result, ItemError)]
        self.assertEqual([item.index for item in broken], [1, 5])
        self.assertIsInstance(broken[0].error, ImageUnreadableError)
        self.assertEqual(broken[0].error.reason, "IMAGE_UNREADABLE")
        with self.assertRaisesRegex(ImageUnreadableError, r"^results\[1\]: Expected an image"):
            _ = answer.vectors
        with self.assertRaisesRegex(ImageUnreadableError, r"^results\[1\]: Expected an image") as caught:
            self.client.embed_images(images, errors="raise")
        self.assertEqual((caught.exception.code, caught.exception.reason), ("INVALID_ARGUMENT", "IMAGE_UNREADABLE"))
        self.assertRegex(broken[0].error.message, "^Expected an image")
        with self.assertRaisesRegex(ImageUnreadableError, "^Expected an image"):
            self.client.embed_images([b"no image"], errors="raise")

    def test_detects_faces(self) -> None:
        answer = self.client.detect_faces([TWO_FACES, ELEPHANT, io.BytesIO(b"nothing")])
        people, _elephant, broken = answer.results
        assert isinstance(people, FaceDetections)
        self.assertEqual(len(people.faces), 3)
        face = people.faces[0]
        self.assertLess(face.landmarks.right_eye.x, face.landmarks.left_eye.x)
        self.assertIsInstance(broken, ItemError)
        self.assertEqual(len(self.client.detect_faces([TWO_FACES], max_faces=1).detections[0].faces), 1)

    def test_tells_what_the_server_is(self) -> None:
        info = self.client.server_info()
        self.assertEqual({model.role for model in info.models}, {"speech", "vision", "faces"})
        self.assertIn("flac", info.audio_formats)
        self.assertEqual(self.client.health(), "SERVING")
        self.assertEqual(self.client.health("EmbedImage"), "SERVING")
        with self.assertRaises(NotFoundError):
            self.client.health("nothing")

    def test_names_the_field_that_is_wrong(self) -> None:
        with self.assertRaises(InvalidArgumentError) as caught:
            self.client.embed_texts([])
        error = caught.exception
        self.assertEqual((error.code, error.reason, error.method), ("INVALID_ARGUMENT", "INVALID_ARGUMENT", "EmbedText"))
        self.assertEqual([violation.field for violation in error.violations], ["texts"])
        self.assertEqual(error.attempts, 1)
        with self.assertRaises(FeatureDisabledError):
            self.client.embed_texts(["text"], model="text")
        with self.assertRaisesRegex(ValueError, "one of transcribe, translate, got 'sing'"):
            self.client.transcribe(SPEECH, task="sing")  # type: ignore[arg-type]
