"""Creates the files of formats.js: a photograph of 12 million pixels with sensor noise, in formats that sharp cannot write."""
import json
import sys

import numpy
import pillow_heif
import pillow_jxl  # noqa: F401
from PIL import Image

pillow_heif.register_heif_opener()
job = json.load(sys.stdin)
small = Image.open(job["photograph"]).convert("RGB")
pixels = numpy.asarray(small.resize((3024, 4032), Image.BICUBIC)).astype(float)
noise = numpy.random.default_rng(1).normal(0, 3, pixels.shape)
image = Image.fromarray(numpy.clip(pixels + noise, 0, 255).astype("uint8"))
made = {}
for name, options in {"jpg": {"quality": 90}, "heic": {"quality": 60}, "jxl": {"quality": 90}, "bmp": {}}.items():
    made[name] = f"{job['dir']}/large.{name}"
    image.save(made[name], **options)
print(json.dumps(made))
