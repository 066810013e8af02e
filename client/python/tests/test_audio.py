"""Where the audio of a stream comes from."""

from __future__ import annotations

import os
import threading
import unittest

from heimdex_client._audio import chunks_of


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
