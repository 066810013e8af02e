"""faster-whisper on a list of files: one thread, greedy. Reads a job and writes the texts as JSON."""
import json
import sys

from faster_whisper import WhisperModel

todo = json.load(sys.stdin)
model = WhisperModel(todo["model"], device="cpu", compute_type=todo["type"], cpu_threads=1, num_workers=1)
texts = []
for path in todo["files"]:
    segments, _ = model.transcribe(path, beam_size=1, language=todo.get("language"))
    texts.append("".join(segment.text for segment in segments).strip())
print(json.dumps(texts))
