"""Where the audio of a stream comes from."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import unittest
from array import array

from heimdex_client._audio import chunks_of
from heimdex_client._proto import speech_pb2


IMPATIENT = """
import asyncio, contextlib, sys
from heimdex_client._audio import async_chunks_of

async def main():
    chunks = async_chunks_of(sys.stdin.buffer)
    assert await anext(chunks) == b"a word"
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(anext(chunks), 0.1)

asyncio.run(main())
"""


class AudioTest(unittest.TestCase):
    def test_gives_what_a_pipe_has_so_far_without_waiting_for_a_whole_chunk(self) -> None:
        reader, writer = os.pipe()
        given = threading.Event()

        def speak() -> None:
            with open(writer, "wb", buffering=0) as pipe:
                pipe.write(b"a word")
                given.wait(10)
                pipe.write(b", another")

        speaker = threading.Thread(target=speak)
        speaker.start()
        with open(reader, "rb") as pipe:
            chunks = chunks_of(pipe)
            first = next(chunks)
            given.set()
            self.assertEqual([first, *chunks], [b"a word", b", another"])
        speaker.join()

    def test_a_program_ends_while_its_standard_input_is_still_read(self) -> None:
        with subprocess.Popen([sys.executable, "-c", IMPATIENT], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdin is not None and program.stderr is not None
            program.stdin.write(b"a word")
            program.stdin.flush()
            self.assertEqual((program.wait(60), program.stderr.read()), (0, b""))

    def test_sends_an_array_of_samples_as_its_bytes(self) -> None:
        samples = array("h", range(-5_000, 5_000))
        for audio in (samples, [samples], memoryview(samples)):
            parts = list(chunks_of(audio))  # type: ignore[arg-type]
            self.assertEqual([len(part) for part in parts], [20_000])
            self.assertEqual(parts[0], samples.tobytes())
        # One of two channels, both, and no samples at all.
        channels = memoryview(b"abcdef")
        arrays = [channels[::2], channels.cast("B", [3, 2]), memoryview(array("f"))]
        self.assertEqual(list(chunks_of(arrays)), [b"ace", b"abcdef"])

    def test_refuses_an_array_of_other_samples_than_its_encoding_says(self) -> None:
        s16, f32 = speech_pb2.AUDIO_ENCODING_PCM_S16LE, speech_pb2.AUDIO_ENCODING_PCM_F32LE
        for item, encoding, expected in (("d", f32, "float32"), ("h", f32, "float32"), ("f", s16, "int16"), ("l", s16, "int16")):
            for audio in (array(item, [1]), [array(item, [1])]):
                with self.assertRaisesRegex(TypeError, f"Expected an array of {expected}, as raw.encoding says, got '{item}'"):
                    list(chunks_of(audio, encoding))  # type: ignore[arg-type]
        for item, encoding in (("h", s16), ("f", f32), ("B", f32), ("d", 0)):
            self.assertEqual(list(chunks_of(array(item, [1]), encoding)), [array(item, [1]).tobytes()])  # type: ignore[arg-type]
