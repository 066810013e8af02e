"""The Python service's models by the programs it uses: openai-whisper, transformers, OpenCV, in turns. Reads a job: `dir` in hub layout;
`work`, which keeps OpenAI's form of Whisper; `device`, on which PyTorch computes: on a GPU in half precision."""

import json
import os
import sys
import wave

import cv2
import numpy as np
import torch
import whisper
from PIL import Image
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, SiglipImageProcessor, SiglipModel, XLMRobertaModel

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, take_turns

THREADS = 2
options = job()
directory, work = options["dir"], options["work"]
DEVICE = options.get("device", "cpu")
HALF = DEVICE != "cpu"
torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)
cv2.setNumThreads(THREADS)
SHORT = "a dog in the snow"
OPENAI_NAMES = [
    ("model.", ""),
    ("layers.", "blocks."),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("self_attn", "attn"),
    ("encoder_attn", "cross_attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("embed_tokens", "token_embedding"),
    ("embed_positions.weight", "positional_embedding"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
]


def openai_file(size):
    """The same weights as the file that openai-whisper loads, in half precision as OpenAI's own. Made once."""
    path = os.path.join(work, f"{size}.pt")
    if not os.path.exists(path):
        place = os.path.join(directory, f"openai/whisper-{size}")
        config = json.load(open(os.path.join(place, "config.json")))
        weights = {}
        for name, values in load_file(os.path.join(place, "model.safetensors")).items():
            for old, new in OPENAI_NAMES:
                name = name.replace(old, new)
            weights[name] = values.half()
        dims = {"n_mels": config["num_mel_bins"], "n_audio_ctx": 1500, "n_text_ctx": 448, "n_vocab": config["vocab_size"]}
        for part, side in (("audio", "encoder"), ("text", "decoder")):
            dims |= {f"n_{part}_state": config["d_model"], f"n_{part}_head": config[f"{side}_attention_heads"]}
            dims |= {f"n_{part}_layer": config[f"{side}_layers"]}
        torch.save({"dims": dims, "model_state_dict": weights}, path)
    return path


def tokenizer(name):
    return PreTrainedTokenizerFast(tokenizer_file=os.path.join(directory, name, "tokenizer.json"), pad_token="<pad>")


SIGLIP, BGE = "google/siglip-so400m-patch14-384", "BAAI/bge-m3"
models = {}


def placed(model):
    return (model.half() if HALF else model).to(DEVICE).eval()


def load():
    models["medium"] = whisper.load_model(openai_file("medium"), device=DEVICE)
    siglip = os.path.join(directory, SIGLIP)
    models["siglip"] = placed(SiglipModel.from_pretrained(siglip))
    models["pixels"] = SiglipImageProcessor.from_pretrained(siglip)
    models["bge"] = placed(XLMRobertaModel.from_pretrained(os.path.join(directory, BGE), add_pooling_layer=False))
    for name, repository in (("siglip words", SIGLIP), ("bge words", BGE)):
        models[name] = tokenizer(repository)
    yunet = os.path.join(directory, "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx")
    models["faces"] = cv2.FaceDetectorYN.create(yunet, "", (320, 320), 0.6, 0.3, 5000)


def image(path):
    with Image.open(path) as opened:
        pixels = models["pixels"](images=opened.convert("RGB"), return_tensors="pt")["pixel_values"]
    pixels = pixels.to(DEVICE, torch.float16 if HALF else torch.float32)
    return {"numbers": len(models["siglip"].vision_model(pixels).pooler_output[0].tolist())}


def siglip_text(padded):
    ids = models["siglip words"].encode(SHORT)
    ids += [1] * ((64 if padded else len(ids)) - len(ids))
    vector = models["siglip"].text_model(torch.tensor([ids], device=DEVICE)).pooler_output[0].tolist()
    return {"tokens": len(ids), "numbers": len(vector)}


def sentence(text):
    encoded = models["bge words"](text, return_tensors="pt", return_token_type_ids=False, truncation=True, max_length=8192)
    vector = torch.nn.functional.normalize(models["bge"](**encoded.to(DEVICE)).last_hidden_state[:, 0])
    return {"tokens": encoded["input_ids"].shape[1], "numbers": len(vector[0].tolist())}


def samples(path):
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


def load_base():
    models["base"] = whisper.load_model(openai_file("base"), device=DEVICE)


def minute(size, path):
    """At temperature 0 alone, as decoding again at others, by chance, would not compare the two. The random weights of medium end a window
    by the position, to which a prompt of the text before would add."""
    said = models[size].transcribe(
        samples(path), language="en", temperature=0, fp16=HALF, condition_on_previous_text=size != "medium"
    )
    return {"text": said["text"], "tokens": sum(len(segment["tokens"]) for segment in said["segments"])}


def faces(path):
    image = cv2.imread(path)
    models["faces"].setInputSize(image.shape[1::-1])
    found = models["faces"].detect(image)[1]
    return {"faces": 0 if found is None else len(found)}


def inputs(photo):
    """What both sides get: a JPEG of 1280 x 720, and a text of at most 512 tokens."""
    with Image.open(photo) as opened:
        opened.convert("RGB").resize((1280, 720)).save(os.path.join(work, "photo.jpg"), quality=90)
    words, text = tokenizer(BGE), "a photograph of a harbour in the evening"
    while len(words.encode(f"{text} and a boat")) <= 512:
        text += " and a boat"
    return {"text": text, "tokens": len(words.encode(text)), "files": [openai_file("medium"), openai_file("base")]}


def versions():
    return {"torch": torch.__version__, "whisper": whisper.__version__}


COMMANDS = {
    "versions": versions,
    "load": load,
    "load base": load_base,
    "inputs": inputs,
    "image": image,
    "siglip": siglip_text,
    "sentence": sentence,
    "minute": minute,
    "faces": faces,
}
take_turns(COMMANDS)
