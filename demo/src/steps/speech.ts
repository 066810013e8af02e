import type { InferenceClient, TranscribeOptions } from '@heimdex/client';
import type { Sample } from '../samples.js';
import { formatMs, type Show } from '../show.js';
import { wordErrors } from '../word-errors.js';

/** Transcribes audio files and compares them with reference transcripts. Returns the number of word errors. */
export async function speech(
  show: Show,
  client: InferenceClient,
  audioFiles: readonly Sample[],
  references: Readonly<Record<string, string>>,
  options: TranscribeOptions,
): Promise<number> {
  let allWrong = 0;
  for (const { name, content } of audioFiles) {
    const startMs = performance.now();
    const transcript = await client.transcribe(content, options);
    const tookMs = performance.now() - startMs;
    const expected = references[name] ?? '';
    const { wrong, of } = wordErrors(expected, transcript.text);
    allWrong += wrong;
    const speed = `${transcript.durationSeconds.toFixed(1)} s in ${formatMs(tookMs)}, ${factor((transcript.durationSeconds * 1000) / tookMs)}x real time`;
    show.item(name, show.color.dim(`${speed}; language ${transcript.language}`));
    show.item('  reference', expected);
    show.item('  transcript', transcript.text);
    show.item('', wrong === 0 ? show.good(`all ${of} words`) : show.bad(`${wrong} of ${of} words wrong`));
  }
  return allWrong;
}

/** Formats a factor with at least two digits; on a busy machine it may be below one. */
function factor(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
