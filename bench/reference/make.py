"""Creates small models with random weights in the architectures and file layouts of the large ones on the hub, and computes their
results with transformers and sentence-transformers: `python make.py DIR SHARED IMAGE...`. See README.md."""
import base64
import io
import json
import logging
import os
import shutil
import string
import sys
import warnings

import numpy as np
import onnx
import sentencepiece as spm
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from PIL import Image, ImageCms, ImageOps
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    SiglipConfig,
    SiglipModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip.tokenization_siglip import SiglipTokenizer
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
POCKET = os.path.join(ROOT, "demo/models/heimdex/siglip-pocket")

PLAIN = [
    "a photo of a cat",
    "A Red Heart, on WHITE!",
    "two   men\ton a boat\n at night",
    "It's 3.5% (not 4) of it...",
    "Straße ÄÖÜ, naïve façade",
    "ΟΔΥΣΣΕΥΣ και η θάλασσα",
    "дом у моря",
    "東京の夜景",
    "مرحبا بالعالم",
    "שלום עולם",
    "हिन्दी में लिखा",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪",
    "cafe\u0301 a\u0300\u0301",
    "\u200bzero\u200dwidth\ufeff",
    "ﬁne ① ½ ＡＢＣ",
    "İstanbul I ı i",
    "▁under▁line",
    "tail  ",
    "  head",
    "",
    " ",
    "word " * 100,
    "x" * 300,
    "one\u00a0two\u3000three\u2028four",
]


def loud(model, seed):
    """Sets random weights large enough for different inputs to have different vectors."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.dim() > 1:
                values.normal_(0, 1.2 / values.shape[-1] ** 0.5 if "embedding" not in name else 0.5)
            elif "bias" in name:
                values.normal_(0, 0.1)
    return model.eval()


def export(module, inputs, path, names, outputs, axes):
    module.eval()
    torch.onnx.export(
        module, inputs, path, input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False
    )


def outside(path):
    """Moves the weights to an external data file, as in exports above 2 GB."""
    name = os.path.basename(path) + "_data"
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location=name, size_threshold=1024)


def quantize(path):
    quantize_dynamic(path, path.replace(".onnx", "_quantized.onnx"), weight_type=QuantType.QUInt8)


class Picked(torch.nn.Module):
    """A part of a model with selected outputs."""

    def __init__(self, part, pick):
        super().__init__()
        self.part, self.pick = part, pick

    def forward(self, *inputs):
        return self.pick(self.part, *inputs)


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)


def upright(path):
    """Applies the orientation, converts to sRGB, and blends transparency onto white."""
    image = ImageOps.exif_transpose(Image.open(path))
    profile = image.info.get("icc_profile")
    if profile and image.mode == "RGB":
        srgb = ImageCms.createProfile("sRGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(source):
            image = ImageCms.profileToProfile(image, source, srgb)
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def rows(tensor):
    return [row.tolist() for row in tensor.detach().float().numpy()]


def siglip(size, patch, vocabulary, pad, eos):
    side = dict(hidden_size=96, intermediate_size=344, num_hidden_layers=2, num_attention_heads=4)
    config = SiglipConfig(
        text_config=dict(
            **side, vocab_size=vocabulary, max_position_embeddings=64, projection_size=96, pad_token_id=pad, eos_token_id=eos, bos_token_id=eos
        ),
        vision_config=dict(**side, image_size=size, patch_size=patch),
    )
    config._attn_implementation = "eager"
    return loud(SiglipModel(config), size + patch)


def siglip_towers(model, directory, names, outputs, size, text_length="sequence_length"):
    os.makedirs(directory, exist_ok=True)
    pick = lambda tower, values: tuple(tower(values)[:2])  # last_hidden_state, pooler_output
    if outputs == ["encodings", "embeddings"]:
        pick = lambda tower, values: (tower(values)[1], tower(values)[1])
    axes = {name: {0: "batch_size"} for name in outputs}
    ids = torch.ones((1, 64), dtype=torch.long)
    export(
        Picked(model.vision_model, pick),
        (torch.zeros((1, 3, size, size)),),
        f"{directory}/{names[0]}.onnx",
        ["pixel_values"],
        outputs,
        {"pixel_values": {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}, **axes},
    )
    export(
        Picked(model.text_model, pick),
        (ids,),
        f"{directory}/{names[1]}.onnx",
        ["input_ids"],
        outputs,
        {"input_ids": {0: "batch_size", 1: text_length}, **axes},
    )


def siglip_expected(model, processor, tokenizer, images):
    """As in the documentation of transformers: every text padded to 64 tokens, without a mask."""
    encoded = [one.ids for one in tokenizer.encode_batch(PLAIN)]
    with torch.no_grad():
        texts = model.text_model(torch.tensor(encoded)).pooler_output
        image_vectors = []
        for path in images:
            values = processor(images=upright(path), return_tensors="pt")["pixel_values"]
            image_vectors.append(model.vision_model(values).pooler_output[0].tolist())
    return {
        "texts": [{"text": text, "ids": ids, "vector": vector} for text, ids, vector in zip(PLAIN, encoded, rows(texts))],
        "images": [{"path": path, "vector": vector} for path, vector in zip(images, image_vectors)],
    }


def gemma_tokenizer(directory):
    """Trains a byte-pair tokenizer like Gemma's on this project's text."""
    words = [open(os.path.join(dir_, name), encoding="utf8").read() for dir_, name in TEXTS] + PLAIN * 20
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<2mass>", "[@BOS@]", "<unused0>", "<start_of_turn>", "<end_of_turn>"]
    spaces = ["\n", "\n\n", "▁▁", "▁▁▁", "▁▁▁▁", "<table>"]
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trained.train_from_iterator(words, trainers.BpeTrainer(vocab_size=3000, special_tokens=special + spaces + bytes_, show_progress=False))
    state = json.loads(trained.to_str())
    made = Siglip2Tokenizer(vocab=state["model"]["vocab"], merges=[tuple(pair) for pair in state["model"]["merges"]], model_max_length=64, padding_side="right", add_bos_token=False, add_eos_token=True)
    backend = made._tokenizer
    backend.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    backend.add_tokens([AddedToken(name, normalized=False) for name in spaces])
    backend.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    # The hub's files were written by GemmaTokenizerFast: do_lower_case is in tokenizer_config.json, not in tokenizer.json.
    state = json.loads(backend.to_str())
    state["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    write(f"{directory}/tokenizer.json", state)
    write(
        f"{directory}/tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": True,
            "bos_token": "<bos>",
            "clean_up_tokenization_spaces": False,
            "do_lower_case": True,
            "eos_token": "<eos>",
            "mask_token": "<mask>",
            "model_input_names": ["input_ids"],
            "model_max_length": 64,
            "pad_token": "<pad>",
            "padding_side": "right",
            "processor_class": "SiglipProcessor",
            "tokenizer_class": "GemmaTokenizer",
            "unk_token": "<unk>",
        },
    )
    return padded(backend, 0, "<pad>"), len(state["model"]["vocab"])


TEXTS = [(ROOT, "README.md"), (ROOT, "inference/README.md"), (POCKET, "README.md")]


def pieces(directory, **settings):
    """Trains a SentencePiece model on this project's text; returns its pieces with scores, and its character map."""
    os.makedirs(directory, exist_ok=True)
    words = [line for directory, name in TEXTS for line in open(os.path.join(directory, name), encoding="utf8") if line.strip()]
    spm.SentencePieceTrainer.train(sentence_iterator=iter(words + PLAIN * 20), model_prefix=f"{directory}/spiece", vocab_size=2000, hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2, **settings)
    os.remove(f"{directory}/spiece.vocab")
    proto = sentencepiece_model_pb2.ModelProto.FromString(open(f"{directory}/spiece.model", "rb").read())
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    return [[piece.piece, piece.score] for piece in proto.pieces], charsmap


def special(content, id_, strip=False):
    return {"id": id_, "content": content, "single_word": False, "lstrip": strip, "rstrip": strip, "normalized": False, "special": True}


def template(before, after):
    token = lambda name, id_: {"SpecialToken": {"id": name, "type_id": 0}}
    names = dict(before + after)
    single = [*(token(*one) for one in before), {"Sequence": {"id": "A", "type_id": 0}}, *(token(*one) for one in after)]
    return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {name: {"id": name, "ids": [id_], "tokens": [name]} for name, id_ in names.items()}}


def unigram(path, vocabulary, unknown, added, normalizer, processor):
    """Writes tokenizer.json as older libraries did, which is the format on the hub."""
    mark = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    write(path, {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "Sequence", "normalizers": normalizer}, "pre_tokenizer": mark, "post_processor": processor, "decoder": mark, "model": {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary}})


SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}


def siglip_tokenizer(directory):
    """SigLIP 1: lower case, no punctuation, `</s>` at the end and as the padding."""
    vocabulary, charsmap = pieces(directory, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    marks = "".join("\\" + mark for mark in string.punctuation)
    normalizer = [
        {"type": "Lowercase"},
        {"type": "Replace", "pattern": {"Regex": f"[{marks}]"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Precompiled", "precompiled_charsmap": charsmap},
        SPACES,
    ]
    added = [special("<pad>", 0), special("</s>", 1, True), special("<unk>", 2, True)]
    unigram(f"{directory}/tokenizer.json", vocabulary, 2, added, normalizer, template([], [("</s>", 1)]))
    for name in ["tokenizer_config.json", "special_tokens_map.json"]:
        shutil.copy(f"{POCKET}/{name}", directory)
    fast = Tokenizer.from_file(f"{directory}/tokenizer.json")
    compare(fast, SiglipTokenizer(f"{directory}/spiece.model"))
    return padded(fast, 1, "</s>"), len(vocabulary)


def padded(tokenizer, pad, name):
    tokenizer.enable_truncation(64)
    tokenizer.enable_padding(length=64, pad_id=pad, pad_token=name)
    return tokenizer


def compare(fast, slow):
    """tokenizer.json is a conversion: prints texts that SentencePiece itself tokenizes differently."""
    other = [text for text in PLAIN if fast.encode(text).ids != slow(text)["input_ids"]]
    print(f"tokenizer.json and spiece.model differ in {len(other)} of {len(PLAIN)} texts: {other}")


def roberta_tokenizer(directory):
    """XLM-R and BGE-M3: four fairseq tokens, then the pieces of SentencePiece."""
    vocabulary, charsmap = pieces(directory)
    vocabulary = [[name, 0.0] for name in ["<s>", "<pad>", "</s>", "<unk>"]] + vocabulary[3:] + [["<mask>", 0.0]]
    os.rename(f"{directory}/spiece.model", f"{directory}/sentencepiece.bpe.model")
    added = [special(name, id_) for id_, name in enumerate(["<s>", "<pad>", "</s>", "<unk>"])]
    added.append(special("<mask>", len(vocabulary) - 1) | {"lstrip": True})
    normalizer = [{"type": "Precompiled", "precompiled_charsmap": charsmap}, SPACES]
    unigram(f"{directory}/tokenizer.json", vocabulary, 3, added, normalizer, template([("<s>", 0)], [("</s>", 2)]))
    write(f"{directory}/special_tokens_map.json", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "mask_token": {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}})
    write(f"{directory}/tokenizer_config.json", {"bos_token": "<s>", "clean_up_tokenization_spaces": True, "cls_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>", "model_max_length": 8192, "pad_token": "<pad>", "sep_token": "</s>", "sp_model_kwargs": {}, "tokenizer_class": "XLMRobertaTokenizer", "unk_token": "<unk>"})
    return len(vocabulary)


def make_siglip1(out, images):
    directory = f"{out}/Xenova/siglip-so400m-tiny"
    tokenizer, vocabulary = siglip_tokenizer(directory)
    model = siglip(384, 14, vocabulary, 1, 1)
    processor = SiglipImageProcessorPil(size={"height": 384, "width": 384})
    expected = siglip_expected(model, processor, tokenizer, images)

    siglip_towers(model, f"{directory}/onnx", ["vision_model", "text_model"], ["last_hidden_state", "pooler_output"], 384)
    model.config.save_pretrained(directory)
    write(f"{directory}/preprocessor_config.json", PREPROCESSOR | {"size": {"height": 384, "width": 384}})
    for tower in ["vision", "text"]:
        quantize(f"{directory}/onnx/{tower}_model.onnx")
    yield "siglip", "Xenova/siglip-so400m-tiny", directory, {"vision": "onnx/vision_model.onnx", "text": "onnx/text_model.onnx"}, 0.999, expected
    yield "siglip", "Xenova/siglip-so400m-tiny, q8", directory, {"vision": "onnx/vision_model_quantized.onnx", "text": "onnx/text_model_quantized.onnx"}, 0.9, expected

    made = directory
    directory = f"{out}/deepghs/siglip_onnx"
    below = f"{directory}/google/siglip-so400m-patch14-384"
    siglip_towers(model, below, ["image_encode", "text_encode"], ["encodings", "embeddings"], 384)
    write(
        f"{below}/preprocessor.json",
        {
            "stages": [
                {"force_background": "white", "type": "convert_rgb"},
                {"antialias": True, "interpolation": "bicubic", "max_size": None, "size": [384, 384], "type": "resize"},
                {"type": "to_tensor"},
                {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "type": "normalize"},
            ]
        },
    )
    write(f"{below}/meta.json", {"logit_scale": 4.7, "logit_bias": -16.5})
    state = json.load(open(f"{made}/tokenizer.json", encoding="utf8"))
    state["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0, "pad_token": "</s>"}
    write(f"{below}/tokenizer.json", state)
    yield "siglip", "deepghs/siglip_onnx", directory, {"vision": "google/siglip-so400m-patch14-384/image_encode.onnx", "text": "google/siglip-so400m-patch14-384/text_encode.onnx"}, 0.999, expected


PREPROCESSOR = {
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "SiglipImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "processor_class": "SiglipProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
}


def make_siglip2(out, images):
    directory = f"{out}/onnx-community/siglip2-tiny-patch16-256-ONNX"
    os.makedirs(directory, exist_ok=True)
    tokenizer, vocabulary = gemma_tokenizer(directory)
    model = siglip(256, 16, vocabulary, 0, 1)
    processor = SiglipImageProcessorPil(size={"height": 256, "width": 256}, resample=2)
    siglip_towers(model, f"{directory}/onnx", ["vision_model", "text_model"], ["last_hidden_state", "pooler_output"], 256)
    for tower in ["vision", "text"]:
        outside(f"{directory}/onnx/{tower}_model.onnx")
    model.config.save_pretrained(directory)
    write(f"{directory}/preprocessor_config.json", PREPROCESSOR | {"size": {"height": 256, "width": 256}, "resample": 2, "image_processor_type": "SiglipImageProcessorFast"})
    expected = siglip_expected(model, processor, tokenizer, images)
    yield "siglip", "onnx-community/siglip2-tiny-patch16-256-ONNX", directory, {"vision": "onnx/vision_model.onnx", "text": "onnx/text_model.onnx"}, 0.999, expected


def sentence_expected(directory, limit):
    from sentence_transformers import SentenceTransformer

    # transformers 5 rebuilds these tokenizers by its own rules; the class below uses tokenizer.json unchanged.
    path = f"{directory}/tokenizer_config.json"
    settings = json.load(open(path, encoding="utf8"))
    write(path, settings | {"tokenizer_class": "PreTrainedTokenizerFast"})
    model = SentenceTransformer(directory, device="cpu")
    write(path, settings)
    long = PLAIN + ["boat on the sea " * 4000]
    ids = model.tokenizer(long, truncation=True, max_length=limit)["input_ids"]
    vectors = model.encode(long, normalize_embeddings=True)
    return {"texts": [{"text": t, "ids": i, "vector": v.tolist()} for t, i, v in zip(long, ids, vectors)], "images": []}


def repository(directory, model, tokenizer, pooling, limit):
    """Writes the configuration files of a sentence-transformers repository."""
    model.config.save_pretrained(directory)
    model.save_pretrained(directory)
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
        if tokenizer != directory:
            shutil.copy(f"{tokenizer}/{name}", directory)
    write(f"{directory}/sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    kinds = ["Transformer", "Pooling", "Normalize"]
    paths = ["", "1_Pooling", "2_Normalize"]
    write(f"{directory}/modules.json", [{"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)])
    write(f"{directory}/1_Pooling/config.json", {"word_embedding_dimension": model.config.hidden_size, "pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    os.makedirs(f"{directory}/2_Normalize", exist_ok=True)


def encoder(model, names, path, outputs, pick):
    shape = (2, 16)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    inputs = tuple(torch.full(shape, 0 if name == "token_type_ids" else 1, dtype=torch.long) for name in names)
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in names}
    axes |= {name: {0: "batch_size"} if name == "sentence_embedding" else {0: "batch_size", 1: "sequence_length"} for name in outputs}
    export(Picked(model, pick), inputs, path, names, outputs, axes)


def make_sentences(out, shared):
    directory = f"{out}/BAAI/bge-m3"
    vocabulary = roberta_tokenizer(directory)
    config = XLMRobertaConfig(vocab_size=vocabulary, hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256, max_position_embeddings=8194, type_vocab_size=1, layer_norm_eps=1e-5)
    config._attn_implementation = "eager"
    model = loud(XLMRobertaModel(config), 7)

    def both(part, ids, mask):
        tokens = part(input_ids=ids, attention_mask=mask).last_hidden_state
        return tokens, torch.nn.functional.normalize(tokens[:, 0], dim=1)

    repository(directory, model, directory, "cls", 8192)
    expected = sentence_expected(directory, 8192)
    inputs = ["input_ids", "attention_mask"]
    encoder(model, inputs, f"{directory}/onnx/model.onnx", ["token_embeddings", "sentence_embedding"], both)
    outside(f"{directory}/onnx/model.onnx")
    # The hub's export stores one large constant in a separate file.
    large_constant(f"{directory}/onnx/model.onnx")
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
        shutil.copy(f"{directory}/{name}", f"{directory}/onnx/{name}")
    yield "sentence", "BAAI/bge-m3", directory, {"model": "onnx/model.onnx"}, 0.999, expected

    tokens = lambda part, ids, mask: part(input_ids=ids, attention_mask=mask).last_hidden_state
    directory = f"{out}/Xenova/bge-m3"
    os.makedirs(directory, exist_ok=True)
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
        shutil.copy(f"{out}/BAAI/bge-m3/{name}", directory)
    encoder(model, inputs, f"{directory}/onnx/model.onnx", ["last_hidden_state"], tokens)
    encoder(model, inputs, f"{directory}/onnx/sentence_transformers.onnx", ["token_embeddings", "sentence_embedding"], both)
    quantize(f"{directory}/onnx/sentence_transformers.onnx")
    outside(f"{directory}/onnx/sentence_transformers.onnx")
    yield "sentence", "Xenova/bge-m3", directory, {"model": "onnx/sentence_transformers.onnx"}, 0.999, expected
    yield "sentence", "Xenova/bge-m3, q8", directory, {"model": "onnx/sentence_transformers_quantized.onnx"}, 0.9, expected
    yield "sentence", "Xenova/bge-m3, last_hidden_state", directory, {"model": "onnx/model.onnx"}, 0.999, expected

    tokenizer = f"{shared}/models/Xenova/all-MiniLM-L6-v2"
    vocabulary = Tokenizer.from_file(f"{tokenizer}/tokenizer.json").get_vocab_size()
    config = BertConfig(vocab_size=vocabulary, hidden_size=96, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256, max_position_embeddings=512)
    config._attn_implementation = "eager"
    model = loud(BertModel(config, add_pooling_layer=False), 9)
    directory = f"{out}/Xenova/all-MiniLM-L6-v2"
    repository(directory, model, tokenizer, "mean", 256)
    expected = sentence_expected(directory, 256)
    encoder(model, ["input_ids", "attention_mask", "token_type_ids"], f"{directory}/onnx/model.onnx", ["last_hidden_state"], lambda part, ids, mask, types: part(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state)
    quantize(f"{directory}/onnx/model.onnx")
    yield "sentence", "Xenova/all-MiniLM-L6-v2", directory, {"model": "onnx/model.onnx"}, 0.999, expected
    yield "sentence", "Xenova/all-MiniLM-L6-v2, q8", directory, {"model": "onnx/model_quantized.onnx"}, 0.9, expected


def large_constant(path):
    """Adds a constant stored in a file `Constant_7_attr__value`, as in BAAI's export."""
    model = onnx.load(path, load_external_data=False)
    values = np.zeros(2048, dtype=np.float32)
    with open(os.path.join(os.path.dirname(path), "Constant_7_attr__value"), "wb") as file:
        file.write(values.tobytes())
    tensor = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[2048], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="Constant_7_attr__value")
    total = onnx.helper.make_node("ReduceSum", ["/Constant_7_output_0"], ["/total"], keepdims=0)
    added = onnx.helper.make_node("Add", ["sentence_embedding_raw", "/total"], ["sentence_embedding"])
    constant = onnx.NodeProto(op_type="Constant", output=["/Constant_7_output_0"], name="/Constant_7")
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "sentence_embedding":
                node.output[index] = "sentence_embedding_raw"
    model.graph.node.insert(0, constant)
    model.graph.node.extend([total, added])
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def main(out, shared, images):
    models_ = [*make_siglip1(out, images), *make_siglip2(out, images), *make_sentences(out, shared)]
    write(f"{out}/expected.json", [dict(zip(["family", "name", "dir", "weights", "minCosine", "expected"], model)) for model in models_])


main(sys.argv[1], sys.argv[2], sys.argv[3:])
