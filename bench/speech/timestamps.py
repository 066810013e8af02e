"""Speech timestamps by faster-whisper for generated probabilities: `python timestamps.py > ../../inference/test/silero/timestamps-golden.json`."""
import json
import random

import numpy
from faster_whisper import vad

STEP = 512
SETTINGS = [
    {},
    {"max_speech_duration_s": 30},
    {"max_speech_duration_s": 10},
    {"max_speech_duration_s": 3},
    {"max_speech_duration_s": 5, "min_silence_duration_ms": 500},
    {"max_speech_duration_s": 4, "min_silence_duration_ms": 3000, "speech_pad_ms": 100},
    {"max_speech_duration_s": 2, "speech_pad_ms": 0, "min_speech_duration_ms": 700},
    {"max_speech_duration_s": 8, "threshold": 0.7, "neg_threshold": 0.6, "speech_pad_ms": 200},
    {"min_silence_duration_ms": 160, "min_speech_duration_ms": 250, "speech_pad_ms": 30},
    {"threshold": 0.1, "min_silence_duration_ms": 0},
]


def probability(chance, least, most):
    return round(round(chance.uniform(least, most), 2) + 0.003, 3)


def made(seed):
    """Runs of [steps, probability]: speech and silence of all lengths, uncertain steps; none equal to a threshold."""
    chance = random.Random(seed)
    runs = []
    for _ in range(chance.randint(8, 40)):
        speech = chance.randint(1, chance.choice([4, 30, 200, 600]))
        silence = chance.randint(1, chance.choice([3, 5, 20, 60, 120]))
        runs.append([speech, probability(chance, 0.5, 1)])
        if chance.random() < 0.4:
            runs.append([chance.randint(1, 6), probability(chance, 0.3, 0.6)])
        runs.append([silence, probability(chance, 0, 0.4)])
    return runs


cases = []
for number, settings in enumerate(SETTINGS):
    for seed in range(4):
        runs = made(100 * number + seed)
        probabilities = numpy.concatenate([numpy.full(steps, value, "float32") for steps, value in runs])
        # Its detector adds a step of silence after audio of whole steps, so the audio here ends within a step.
        length = len(probabilities) * STEP - 100
        vad.get_vad_model = lambda probabilities=probabilities: lambda _audio: probabilities
        speech_timestamps = vad.get_speech_timestamps(numpy.zeros(length, "float32"), vad.VadOptions(**settings))
        cases.append(
            {
                "settings": settings,
                "runs": [value for run in runs for value in run],
                "samples": length,
                "speechTimestamps": [int(one[end]) for one in speech_timestamps for end in ("start", "end")],
            }
        )
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
