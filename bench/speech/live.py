"""LocalAgreement-2 on faster-whisper, fed in real time: reads a WAV file, writes what was shown when.

The server's policy (inference/src/models/speech/live) but for the pace, where the server no longer waits for as much as its last pass took:
passes of 0.77 s of new audio or as much as the last pass took, everything final after 0.6 s of silence, a cut behind a final sentence above
8 s, behind a final word above 14 s, and one at 24 s.
"""
import json
import re
import sys
import time

from faster_whisper import WhisperModel, decode_audio, vad

RATE = 16_000
LISTEN = 4096
PASS = 3 * LISTEN
PAD = int(0.4 * RATE)
PAUSE = int(0.6 * RATE)
GREEDY = {"beam_size": 1, "word_timestamps": True}


def plain(text):
    return re.sub(r"\W+", "", text.lower()) or text.strip()


def shared_length(one, other):
    count = 0
    while count < min(len(one), len(other)) and plain(one[count].word) == plain(other[count].word):
        count += 1
    return count


class Live:
    """Positions are samples from the start of the audio; the window is `start` to `end`."""

    def __init__(self, model, samples, language):
        self.model, self.samples, self.language = model, samples, language
        self.final, self.shown, self.before = "", [], ""
        self.start = self.end = self.passed = 0
        self.needed = PASS
        self.forget()

    def forget(self):
        self.confirmed, self.pending, self.speaking = [], [], False

    def run(self):
        self.began = time.monotonic()
        while self.end < len(self.samples):
            # Audio that has come while the last pass ran is taken at once.
            due = min(len(self.samples), self.end + LISTEN)
            time.sleep(max(0, self.began + due / RATE - time.monotonic()))
            come = int((time.monotonic() - self.began) * RATE)
            self.end = min(len(self.samples), max(due, come))
            while self.step():
                pass
        if self.speaking:
            self.finish(self.end)
        return self.shown

    def step(self):
        """Returns whether an utterance has ended, behind which there may be another."""
        options = vad.VadOptions(min_silence_duration_ms=600, speech_pad_ms=0)
        speech = vad.get_speech_timestamps(self.samples[self.start : self.end], options)
        if not speech:
            if self.speaking:
                self.finish(self.end)
            self.start = max(self.start, self.end - PAD)
            return False
        begin, silence = (self.start + speech[0][edge] for edge in ("start", "end"))
        if not self.speaking:
            self.passed, self.start = begin, max(self.start, begin - PAD)
            self.speaking = True
        if self.end - silence >= PAUSE:
            self.finish(silence + PAD)
            return True
        if self.end - self.start > 24 * RATE:
            self.finish(self.end)
        elif self.end - self.passed >= self.needed:
            self.decode_pass()
        return False

    def words(self, end, temperatures):
        segments, info = self.model.transcribe(
            self.samples[self.start : end], language=self.language, initial_prompt=self.before or None,
            temperature=temperatures, **GREEDY
        )
        words = [word for segment in segments for word in segment.words]
        return words, info.language

    def rest(self, words):
        """Without the first words, which are final; compared by number, and by the last one where it moved by one."""
        count = len(self.confirmed)
        if count:
            last = plain(self.confirmed[-1].word)
            near = [at for at in (count, count - 1, count + 1) if 0 < at <= len(words) and plain(words[at - 1].word) == last]
            count = near[0] if near else count
        return words[count:]

    def decode_pass(self):
        began = time.monotonic()
        rest = self.rest(self.words(self.end, 0)[0])
        agreed = shared_length(self.pending, rest)
        self.confirmed += rest[:agreed]
        self.final += "".join(word.word for word in rest[:agreed])
        self.pending = rest[agreed:]
        self.show()
        self.needed = max(PASS, int((time.monotonic() - began) * RATE))
        self.passed = self.end
        self.cut()

    def cut(self):
        seconds = (self.end - self.start) / RATE
        if seconds < 8 or not self.confirmed:
            return
        ends = [at for at, word in enumerate(self.confirmed) if word.word.rstrip("\"'")[-1:] in ".?!"]
        last = ends[-1] if ends else len(self.confirmed) - 1 if seconds >= 14 else None
        if last is None:
            return
        word, following = self.confirmed[last], (self.confirmed[last + 1 :] + self.pending)[:1]
        gap = max(0, following[0].start - word.end) if following else 0
        moved = int((word.end + gap / 2) * RATE)
        self.before = (self.before + "".join(one.word for one in self.confirmed[: last + 1]))[-200:]
        self.confirmed = self.confirmed[last + 1 :]
        self.start = min(self.end, self.start + moved)

    def finish(self, position):
        position = min(self.end, position)
        words, language = self.words(position, (0, 0.2, 0.4, 0.6, 0.8, 1))
        rest = self.rest(words)
        self.language = self.language or (language if words else None)
        self.final += "".join(word.word for word in rest)
        self.before = (self.before + "".join(one.word for one in self.confirmed + rest))[-200:]
        self.forget()
        self.show()
        self.start = self.passed = position

    def show(self):
        partial = "".join(word.word for word in self.pending)
        self.shown.append({"seconds": time.monotonic() - self.began, "final": self.final, "partial": partial})


job = json.load(sys.stdin)
model = WhisperModel(job["model"], device="cpu", compute_type="int8", cpu_threads=2)
samples = decode_audio(job["file"])
segments, _ = model.transcribe(samples, language="en", beam_size=5, word_timestamps=True)
words = [{"text": one.word, "start": one.start, "end": one.end} for segment in segments for one in segment.words]
shown = [Live(model, samples, language).run() for language in job["languages"]]
print(json.dumps({"words": words, "shown": shown}))
