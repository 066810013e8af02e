"""HeimdexClient and arguments and settings that it refuses."""

from __future__ import annotations

import io
import pickle
import unittest
from pathlib import Path
from typing import Any

from support import INFO, fake_server

from heimdex_client import HeimdexClient, RawAudio, UnauthenticatedError


class Upload:
    """A file as web frameworks of asyncio give it."""

    async def read(self) -> bytes:
        return b"audio"


class ArgumentsTest(unittest.TestCase):
    def test_a_time_limit_may_be_infinite_but_neither_negative_nor_no_number(self) -> None:
        with fake_server(lambda _request, _context: INFO) as port, HeimdexClient(f"127.0.0.1:{port}") as client:
            self.assertEqual(client.server_info(timeout=float("inf")).version, "1")
            for wrong in (-1, float("nan")):
                with self.assertRaisesRegex(ValueError, f"Expected timeout to be 0 or more seconds, got {wrong}"):
                    client.server_info(timeout=wrong)
                with self.assertRaisesRegex(ValueError, r"timeouts\['EmbedText'\]"):
                    HeimdexClient(timeouts={"EmbedText": wrong})
            text: Any = "5"
            with self.assertRaisesRegex(TypeError, "Expected timeout to be a number of seconds, got '5'"):
                client.server_info(timeout=text)

    def test_a_value_that_does_not_fit_its_field_is_named(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            with self.assertRaisesRegex(ValueError, "Invalid max_faces, got -1: Value out of range"):
                client.detect_faces([b"image"], max_faces=-1)
            with self.assertRaisesRegex(TypeError, "Invalid beam_size, got 1.5"):
                client.transcribe(b"audio", beam_size=1.5)  # type: ignore[arg-type]
            with self.assertRaisesRegex(ValueError, "Invalid sample_rate_hz, got -1"):
                client.transcribe(b"audio", raw=RawAudio("pcm_s16le", -1))

    def test_another_word_for_errors_is_refused(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            for call in (client.embed_images, client.embed_texts, client.detect_faces):
                with self.assertRaisesRegex(ValueError, "Expected errors to be 'return' or 'raise', got 'strict'"):
                    call([], errors="strict")  # type: ignore[operator]

    def test_one_image_is_no_list_of_images(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            for one in ("coffee.png", b"image", Path("coffee.png"), io.BytesIO(b"image")):
                for call in (client.embed_images, client.detect_faces):
                    with self.assertRaisesRegex(TypeError, "Expected images to be a list of images, got one image"):
                        call(one)  # type: ignore[arg-type]

    def test_a_text_an_image_or_audio_of_another_type_is_named(self) -> None:
        content = "Expected the bytes of a file, its path or the file opened with 'rb', got "
        with HeimdexClient("127.0.0.1:1") as client:
            for wrong, name in ((None, "None"), (b"snow", "b'snow'"), (7, "7"), (float("nan"), "nan")):
                with self.assertRaisesRegex(TypeError, rf"Expected texts\[1\] to be a str, got {name}"):
                    client.embed_texts(["snow", wrong])  # type: ignore[list-item]
            with self.assertRaisesRegex(ValueError, r"Expected texts\[1\] to be Unicode: .* in position 100000") as caught:
                client.embed_texts(["snow", "a" * 100_000 + "\ud800"])
            with self.assertRaisesRegex(TypeError, r"Expected texts\[0\] to be a str, got b'a") as other:
                client.embed_texts([b"a" * 100_000])  # type: ignore[list-item]
            self.assertLess(max(len(str(error.exception)) for error in (caught, other)), 200)
            with self.assertRaisesRegex(TypeError, "Expected texts to be a list of texts, got None"):
                client.embed_texts(None)  # type: ignore[arg-type]
            with self.assertRaisesRegex(TypeError, "Expected images to be a list of images, got 7"):
                client.embed_images(7)  # type: ignore[arg-type]
            kinds = ((None, "NoneType"), (7, "int"), ([b"a"], "list"), (io.StringIO("a"), "a StringIO of text"))
            for one, kind in (*kinds, (Upload(), "Upload")):
                with self.assertRaisesRegex(TypeError, content + kind):
                    client.transcribe(one)  # type: ignore[arg-type]
                for call in (client.embed_images, client.detect_faces):
                    with self.assertRaisesRegex(TypeError, content + kind):
                        call([b"image", one])  # type: ignore[list-item]

    def test_an_address_is_read_as_the_other_client_reads_it(self) -> None:
        for address, target, secure in (
            ("server", "server:8001", False),
            (" HTTPS://server ", "server:8001", True),
            ("http://[::1]:1/", "[::1]:1", False),
            ("dns:///server:65535", "dns:///server:65535", False),
            ("unix:/run/heimdex.sock", "unix:/run/heimdex.sock", False),
        ):
            settings = HeimdexClient(address)._settings
            self.assertEqual((settings.target, settings.secure), (target, secure))
        for wrong in ("", "server:0", "server:99999", "http://server:1/path", "ftp://server", "::1", "unix:"):
            with self.assertRaisesRegex(ValueError, f"Expected an address such as localhost:8001.* got '{wrong}'"):
                HeimdexClient(wrong)

    def test_a_token_or_header_that_cannot_be_sent_is_named_and_not_shown(self) -> None:
        with HeimdexClient("127.0.0.1:1", token="secret\n") as client:
            with self.assertRaisesRegex(UnauthenticatedError, "^no token: it contains a line break") as caught:
                client.server_info()
            self.assertEqual(caught.exception.reason, "NO_TOKEN")
        for name, value in (("x y", "a"), ("x-name", "\uac00"), ("x-line", "a\nb"), ("x-number", 5)):
            with self.assertRaisesRegex(ValueError, f"^Invalid header {name}: expected a single line of plain text"):
                HeimdexClient(headers={name: value})  # type: ignore[dict-item]

    def test_contradictory_settings_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "tls is False"):
            HeimdexClient("https://server:8001", tls=False)
        with self.assertRaisesRegex(ValueError, "Expected priority to be 'interactive' or 'bulk', got 'low'"):
            HeimdexClient(priority="low")  # type: ignore[arg-type]
        with self.assertRaisesRegex(ValueError, "got Embed"):
            HeimdexClient(timeouts={"Embed": 1})

    def test_a_client_that_is_sent_to_another_process_says_what_to_do(self) -> None:
        with HeimdexClient("127.0.0.1:1") as client:
            with self.assertRaisesRegex(TypeError, "HeimdexClient cannot be pickled: make one in each process"):
                pickle.dumps(client)
