"""fastembed with its defaults: all cores, batches of 256. The model is a local directory."""
import os
import sys

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, take_turns

todo = job()
NAME = "local/model"
TextEmbedding.add_custom_model(
    NAME,
    pooling=PoolingType.MEAN,
    normalization=True,
    sources=ModelSource(hf=NAME),
    dim=todo["dimensions"],
    model_file=todo["file"],
)
model = TextEmbedding(NAME, specific_model_path=todo["dir"])


def embed(texts, size):
    """Embeds the texts in calls of this many, and returns the last vector."""
    for start in range(0, len(texts), size):
        vectors = list(model.embed(texts[start : start + size]))
    return vectors[-1].tolist()


take_turns({"embed": embed})
