/** An audio or video file or the microphone; words, or segments, with times that play. */
import type { AudioInputJson, LimitsJson, RawAudioJson, TranscribeResponseJson, WordJson } from '@heimdex/gen';
import { refusalOf } from './batches.js';
import { chunksOf, SAMPLE_RATE_HZ, samplesOf } from './chunks.js';
import { element, newest, onFiles, say, shown } from './elements.js';
import { base64, CallError, call } from './server.js';

const STATUS = 'speech-status';
/** Until the model refuses them. */
let wordTimes = true;

/** @param limits of one call, for files that the browser cannot decode */
export function startSpeech(limits: LimitsJson): void {
  const started = newest();
  const take = (file: Blob | undefined) => {
    if (file === undefined) return;
    const isCurrent = started();
    shown(STATUS, () => transcribe(file, limits, isCurrent), isCurrent);
  };
  onFiles('speech-file', ([file]) => take(file));
  startMicrophone(take);
  const player = element('player', HTMLVideoElement);
  player.addEventListener('loadedmetadata', () => player.classList.toggle('sound', player.videoWidth === 0));
}

async function transcribe(file: Blob, limits: LimitsJson, isCurrent: () => boolean): Promise<void> {
  const words = element('words', HTMLElement);
  words.replaceChildren();
  const player = element('player', HTMLVideoElement);
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  player.hidden = false;
  say(STATUS, 'Reading …');
  const samples = await samplesOf(file).catch(() => undefined);
  // Another file has taken the place of this one.
  if (!isCurrent()) return;
  if (samples === undefined) {
    const refusal = refusalOf(file, limits);
    if (refusal !== undefined) throw new Error(`This browser cannot decode the file, to send it in parts. ${refusal}`);
    const answer = await transcript({ content: await base64(file) });
    if (!isCurrent()) return;
    add(words, answer, 0);
    return finish(words, 'Done.', answer.warnings);
  }
  const total = Math.round(samples.length / SAMPLE_RATE_HZ);
  const raw: RawAudioJson = { encoding: 'AUDIO_ENCODING_PCM_S16LE', sampleRateHz: SAMPLE_RATE_HZ, channelCount: 1 };
  for (const { startSeconds, pcm } of chunksOf(samples)) {
    say(STATUS, `Transcribing: ${Math.round(startSeconds)} of ${total} seconds …`);
    const answer = await transcript({ content: await base64(pcm), raw });
    if (!isCurrent()) return;
    add(words, answer, startSeconds);
  }
  finish(words, `Done: ${total} seconds.`);
}

function finish(words: HTMLElement, done: string, warnings: readonly string[] = []): void {
  say(STATUS, [words.childElementCount === 0 ? 'No speech was found.' : done, ...warnings].join(' '));
}

/** With the times of words; of segments where the model has none of words. */
async function transcript(audio: AudioInputJson): Promise<TranscribeResponseJson> {
  try {
    return await call('Transcribe', {
      audio,
      ...(wordTimes && { options: { timestamps: 'TIMESTAMPS_WORD' } }),
    });
  } catch (error) {
    if (!wordTimes || !(error instanceof CallError) || error.code !== 'failed_precondition') throw error;
    wordTimes = false;
    return transcript(audio);
  }
}

function add(words: HTMLElement, { segments = [] }: TranscribeResponseJson, offsetSeconds: number): void {
  const all: readonly WordJson[] = segments.flatMap((one) => (one.words?.length ? one.words : [one]));
  for (const { text = '', startSeconds = 0 } of all) {
    const at = offsetSeconds + Number(startSeconds);
    const button = document.createElement('button');
    const time = document.createElement('small');
    const tenths = Math.round(at * 10);
    time.textContent = `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, '0')}`;
    button.append(time, text.trim());
    button.addEventListener('click', () => {
      const player = element('player', HTMLVideoElement);
      player.currentTime = at;
      // A browser may refuse to play; the position is set all the same.
      player.play().catch(() => {});
    });
    words.append(button, ' ');
  }
}

function startMicrophone(take: (file: Blob) => void): void {
  const button = element('record', HTMLButtonElement);
  // Browsers offer the microphone on localhost and over TLS only.
  if (navigator.mediaDevices === undefined) {
    button.disabled = true;
    button.title = 'The microphone needs localhost or TLS.';
    return;
  }
  let recorder: MediaRecorder | undefined;
  /** While the browser asks for permission. */
  let asks = false;
  button.addEventListener('click', () => {
    if (recorder !== undefined) return recorder.stop();
    if (asks) return;
    asks = true;
    shown(STATUS, async () => {
      const stream = await microphone().finally(() => {
        asks = false;
      });
      const parts: Blob[] = [];
      const mine = new MediaRecorder(stream);
      recorder = mine;
      mine.addEventListener('dataavailable', ({ data }) => {
        parts.push(data);
        button.textContent = `Stop (${parts.length} s)`;
      });
      mine.addEventListener('stop', () => {
        for (const track of stream.getTracks()) track.stop();
        recorder = undefined;
        button.textContent = 'Record';
        take(new Blob(parts, { type: mine.mimeType }));
      });
      mine.start(1000);
      button.textContent = 'Stop';
      say(STATUS, 'Recording …');
    });
  });
}

/** Throws with what to do where the browser has no microphone, or does not allow it. */
async function microphone(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `The microphone cannot be used (${why}). Connect one, and allow it in the browser's settings of this page.`,
    );
  }
}
