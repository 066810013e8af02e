"""faster-whisper on the same audio files: greedy, by default int8 and one thread. Reads a job and writes the results, or only texts, as JSON."""
import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from faster_whisper import BatchedInferencePipeline, WhisperModel

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from peer import job, take_turns

todo = job()
THREADS = todo.get("threads", 1)
model = WhisperModel(todo["model"], device="cpu", compute_type=todo.get("type", "int8"), cpu_threads=THREADS, num_workers=1)
batched = BatchedInferencePipeline(model)


def text_of(path, run):
    segments, _ = run(path)
    return "".join(segment.text for segment in segments).strip()


def transcribe(paths, language, callers):
    """Transcribes the files by several callers of one model, and returns their texts."""
    run = lambda path: model.transcribe(path, beam_size=1, language=language)
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(lambda path: text_of(path, run), paths))


def transcribe_batched(paths, language, _callers):
    """Transcribes the files one after the other, the windows of each in batches, and returns their texts."""
    run = lambda path: batched.transcribe(path, beam_size=1, batch_size=8, without_timestamps=False, language=language)
    return [text_of(path, run) for path in paths]


if todo.get("turns"):
    take_turns({"transcribe": transcribe, "batched": transcribe_batched})
    sys.exit()
if todo.get("texts"):
    print(json.dumps(transcribe(todo["files"], todo.get("language"), 1)))
    sys.exit()
RUNS = {
    "sequential": lambda path: model.transcribe(path, beam_size=1),
    "batched": lambda path: batched.transcribe(path, beam_size=1, batch_size=8, without_timestamps=False),
}
answers = []
for path in todo["files"]:
    answer = {}
    for name, run in RUNS.items():
        wall = cpu = float("inf")
        for _ in range(todo["rounds"] + 1):
            used, started = time.process_time(), time.perf_counter()
            text = text_of(path, run)
            wall = min(wall, time.perf_counter() - started)
            cpu = min(cpu, time.process_time() - used)
        answer[name] = {"wallSeconds": wall, "cpuSeconds": cpu, "text": text}
    answers.append(answer)
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"answers": answers, "megabytes": megabytes}))
