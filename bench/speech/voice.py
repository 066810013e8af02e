"""Speech timestamps by faster-whisper: reads audio and our probabilities as float32 files, writes timestamps in samples."""
import json
import sys

import numpy
from faster_whisper import vad


def joined(stretches):
    """Joins adjacent segments."""
    whole = []
    for one in stretches:
        if whole and whole[-1][1] == one["start"]:
            whole[-1][1] = one["end"]
        else:
            whole.append([one["start"], one["end"]])
    return whole


todo = json.load(sys.stdin)
speech_timestamps = []
for path, known in zip(todo["files"], todo["probabilities"]):
    samples = numpy.fromfile(path, dtype="<f4")
    detected = [joined(vad.get_speech_timestamps(samples, vad.VadOptions(**one))) for one in todo["settings"]]
    theirs, vad.get_vad_model = vad.get_vad_model, lambda known=known: lambda _samples: numpy.fromfile(known, dtype="<f4")
    given = [joined(vad.get_speech_timestamps(samples, vad.VadOptions(**one))) for one in todo["settings"]]
    vad.get_vad_model = theirs
    speech_timestamps.append([{"detected": one, "given": other} for one, other in zip(detected, given)])
print(json.dumps({"speechTimestamps": speech_timestamps}))
