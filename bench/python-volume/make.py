"""What the Python model service downloads, by the programs that it uses. Prints JSON. Usage: make.py VOLUME WHISPER_URL"""

import json
import os
import sys

volume, whisper_url = sys.argv[1:]
cache = os.path.join(volume, ".cache")
os.environ["HF_HUB_CACHE"] = cache
os.environ["XDG_CACHE_HOME"] = cache

import torch
import transformers
import whisper

torch.set_num_threads(1)

# A stand-in of OpenAI's server and file; its own heads of alignment would not fit.
whisper._MODELS["medium"] = whisper_url
whisper._ALIGNMENT_HEADS["medium"] = None
model = whisper.load_model("medium", device="cpu")

SIGLIP = "google/siglip-so400m-patch14-384"
siglip = transformers.AutoModel.from_pretrained(SIGLIP)
transformers.AutoProcessor.from_pretrained(SIGLIP)

try:
    from FlagEmbedding import FlagModel

    flag = FlagModel("BAAI/bge-m3", use_fp16=False, devices=["cpu"])
    by = "FlagEmbedding"
    vector = flag.encode(["Guten Tag"])[0].tolist()
except ImportError as error:
    by = f"transformers (FlagEmbedding: {error})"
    tokenizer = transformers.AutoTokenizer.from_pretrained("BAAI/bge-m3")
    bge = transformers.AutoModel.from_pretrained("BAAI/bge-m3").eval()
    with torch.no_grad():
        first = bge(**tokenizer(["Guten Tag"], return_tensors="pt")).last_hidden_state[:, 0]
    vector = torch.nn.functional.normalize(first)[0].tolist()

print(
    json.dumps(
        {
            "whisper": whisper.__version__,
            "transformers": transformers.__version__,
            "sentences": by,
            "vector": vector,
            "encoder": model.dims.n_audio_layer,
        }
    )
)
