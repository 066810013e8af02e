"""faster-whisper on the same audio files: one thread, int8, greedy. Reads a job and writes the results as JSON."""
import json
import resource
import sys
import time

from faster_whisper import BatchedInferencePipeline, WhisperModel

todo = json.load(sys.stdin)
model = WhisperModel(todo["model"], device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
batched = BatchedInferencePipeline(model)


def text_of(path, run):
    segments, _ = run(path)
    return "".join(segment.text for segment in segments).strip()


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
