"""Speech timestamps by faster-whisper: reads audio and our probabilities as float32 files, writes timestamps in samples."""
import json
import sys

import numpy
from faster_whisper import vad


def united(stretches):
    """Joins adjacent segments."""
    whole = []
    for one in stretches:
        if whole and whole[-1][1] == one["start"]:
            whole[-1][1] = one["end"]
        else:
            whole.append([one["start"], one["end"]])
    return whole


todo = json.load(sys.stdin)
stretches = []
for path, known in zip(todo["files"], todo["probabilities"]):
    samples = numpy.fromfile(path, dtype="<f4")
    heard = [united(vad.get_speech_timestamps(samples, vad.VadOptions(**one))) for one in todo["settings"]]
    theirs, vad.get_vad_model = vad.get_vad_model, lambda known=known: lambda _samples: numpy.fromfile(known, dtype="<f4")
    given = [united(vad.get_speech_timestamps(samples, vad.VadOptions(**one))) for one in todo["settings"]]
    vad.get_vad_model = theirs
    stretches.append([{"heard": one, "given": other} for one, other in zip(heard, given)])
print(json.dumps({"stretches": stretches}))
