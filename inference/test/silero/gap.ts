import type { SpeechEvent } from '../../src/models/speech/speech.js';
import { inRepository } from '../support/paths.js';
import { joined, samplesOf } from '../support/speech.js';

export const GAP_SECONDS = 10;

/** What is said before the gap and behind it. */
export const SAID = [
  'you can search a video by the words that were spoken and by the things that were seen',
  'every model is downloaded once checked and then served without the network',
].join(' ');

/** One of the sentences of the demo. */
export function speech(name: string): Promise<Float32Array> {
  return samplesOf(inRepository(`demo/samples/speech/${name}.flac`));
}

/** Two sentences with a gap between them. */
export async function withGap(): Promise<{ samples: Float32Array; firstSeconds: number }> {
  const first = await speech('search');
  const samples = joined([first, new Float32Array(GAP_SECONDS * 16_000), await speech('models')]);
  return { samples, firstSeconds: first.length / 16_000 };
}

export function partsOf(events: readonly SpeechEvent[]) {
  const last = events.at(-1);
  if (last?.type !== 'summary') throw new Error('expected a summary at the end');
  const segments = events.flatMap((event) => (event.type === 'segment' ? [event.segment] : []));
  return { segments, summary: last.summary };
}
