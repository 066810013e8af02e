import type { InferenceClient, TranscribeOptions } from '@heimdex/client';
import type { Sample } from '../samples.js';
import { type Show, time } from '../show.js';
import { wordErrors } from '../words.js';

/** Transcribes audio files and holds what was heard against what was said. Gives the number of wrong words. */
export async function speech(
  show: Show,
  client: InferenceClient,
  audioFiles: readonly Sample[],
  said: Readonly<Record<string, string>>,
  options: TranscribeOptions,
): Promise<number> {
  let allWrong = 0;
  for (const { name, content } of audioFiles) {
    const startMs = performance.now();
    const heard = await client.transcribe(content, options);
    const tookMs = performance.now() - startMs;
    const expected = said[name] ?? '';
    const { wrong, of } = wordErrors(expected, heard.text);
    allWrong += wrong;
    const speed = `${heard.durationSeconds.toFixed(1)} s in ${time(tookMs)}, ${factor((heard.durationSeconds * 1000) / tookMs)} times as fast as it is spoken`;
    show.item(name, show.color.dim(`${speed}; language ${heard.language}`));
    show.item('  said', expected);
    show.item('  heard', heard.text);
    show.more(wrong === 0 ? show.good(`all ${of} words`) : show.bad(`${wrong} of ${of} words wrong`));
  }
  return allWrong;
}

/** A factor in two digits or more: on a busy machine it may be below one. */
function factor(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
