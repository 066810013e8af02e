"""Image embedding in plain Python: Pillow, numpy, onnxruntime."""
import io
import json
import os
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, measure, session, take_turns

todo = job()
network = session(todo["model"], single=not todo.get("turns"))
side = network.get_inputs()[0].shape[-1]
contents = [open(path, "rb").read() for path in todo["images"]]


def prepare(content):
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return ((values - np.float32(0.5)) / np.float32(0.5)).transpose(2, 0, 1)


def embed(size):
    for start in range(0, len(contents), size):
        values = np.stack([prepare(content) for content in contents[start : start + size]])
        rows = network.run(["pooler_output"], {"pixel_values": values})[0]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[-1].tolist()


if todo.get("turns"):
    take_turns({"embed": embed})
    sys.exit()
results = [measure(len(contents), todo["rounds"], lambda size=size: embed(size)) for size in (1, 8)]
print(json.dumps(max(results, key=lambda result: result["perSecond"])))
