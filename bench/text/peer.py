"""Text embedding in plain Python: tokenizers, numpy, onnxruntime. Reports the best of the given batch sizes."""
import json
import os
import sys

import numpy as np
from tokenizers import Tokenizer

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, measure, session

todo = job()
network = session(todo["model"])
names = [value.name for value in network.get_inputs()]
tokenizer = Tokenizer.from_file(todo["tokenizer"])
tokenizer.no_padding()
tokenizer.enable_truncation(todo["limit"])
texts = todo["texts"]


def embed(size):
    for start in range(0, len(texts), size):
        encoded = tokenizer.encode_batch(texts[start : start + size])
        longest = todo["length"] or max(len(one.ids) for one in encoded)
        ids = np.full((len(encoded), longest), todo["pad"], dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        out = network.run([todo["output"]], {name: inputs[name] for name in names})[0]
        if out.ndim == 3:
            weights = mask[:, :, None].astype(np.float32)
            out = (out * weights).sum(1) / weights.sum(1)
        out / np.linalg.norm(out, axis=1, keepdims=True)


results = [measure(len(texts), todo["rounds"], lambda size=size: embed(size)) for size in todo["sizes"]]
print(json.dumps(max(results, key=lambda result: result["perSecond"])))
