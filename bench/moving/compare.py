"""Vectors as the Python service made them against those of a server: python3 compare.py ADDRESS (see README.md)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from heimdex_client import HeimdexClient
from PIL import Image
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "demo/models/heimdex/siglip-pocket"
IMAGES = ROOT / "demo/samples/images"
LENGTH, END, SIZE = 64, 1, 96


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def session(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL / f"onnx/{name}.onnx", options, providers=["CPUExecutionProvider"])


def pixels(path: Path) -> np.ndarray:
    image = Image.open(path)
    if image.mode != "RGB":  # Transparent parts on white, as the server has them; frames of a video have none.
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    scaled = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)
    return (scaled / 255 - 0.5).transpose(2, 0, 1)[None] / 0.5


def line(what: str, cosines: np.ndarray) -> None:
    print(f"{what:62} mean {cosines.mean():.4f}  least {cosines.min():.4f}  most {cosines.max():.4f}")


def main(address: str) -> None:
    names = json.loads((IMAGES / "names.json").read_text())
    said = json.loads((ROOT / "demo/samples/speech/said.json").read_text())
    labels = [entry["label"] for entry in names.values()]
    sentences = list(said.values())
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    text_model, vision_model = session("text_model"), session("vision_model")

    def old(text: str, padded: bool) -> np.ndarray:
        ids = tokenizer.encode(text).ids
        ids += [END] * (LENGTH - len(ids) if padded else 0)
        return text_model.run(["pooler_output"], {"input_ids": np.array([ids], np.int64)})[0][0]

    with HeimdexClient(address) as client:
        paths = [IMAGES / name for name in names]
        before = unit(np.concatenate([vision_model.run(["pooler_output"], {"pixel_values": pixels(path)})[0] for path in paths]))
        after = np.array(client.embed_images(paths).vectors)
        line("images: the service and this server", (before * after).sum(-1))
        kinds = {
            "labels of 1 and 2 words": labels,
            "sentences of 12 to 18 words": sentences,
            "texts of 64 tokens and more": [" ".join([sentence] * 6) for sentence in sentences],
        }
        for what, texts in kinds.items():
            own, padded = (unit(np.array([old(text, each) for text in texts])) for each in (False, True))
            ours = np.array(client.embed_texts(texts).vectors)
            line(f"{what}: padded to 64 and this server", (padded * ours).sum(-1))
            line(f"{what}: the service and this server", (own * ours).sum(-1))
            if texts is labels:
                for who, vectors in (("the service", own), ("this server", ours)):
                    right = int(((vectors @ after.T).argmax(1) == np.arange(len(texts))).sum())
                    print(f"labels that find their image first, {who}: {right} of {len(texts)}")


main(sys.argv[1])
