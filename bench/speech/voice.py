"""faster-whisper's stretches of speech: recordings as float32 files of 16 kHz in, stretches in samples out."""
import json
import sys

import numpy
from faster_whisper.vad import get_speech_timestamps

todo = json.load(sys.stdin)
stretches = []
for path in todo["files"]:
    stretches.append([[one["start"], one["end"]] for one in get_speech_timestamps(numpy.fromfile(path, dtype="<f4"))])
print(json.dumps({"stretches": stretches}))
