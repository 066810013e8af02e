import { readFile } from 'node:fs/promises';
import { openAudio } from '../../src/media/audio/index.js';
import type { PcmSource } from '../../src/media/audio/pcm.js';
import type { SpeechEvent, SpeechOptions } from '../../src/models/speech/speech.js';
import type { DecodeWindow } from '../../src/models/whisper/window.js';
import { parseSpeechOptions } from '../../src/services/speech-options.js';

/** The contract's defaults. */
export const SPEECH_OPTIONS: SpeechOptions = parseSpeechOptions(undefined);

/** A Whisper window without context. */
export function windowOf(samples: Float32Array, overrides: Partial<DecodeWindow> = {}): DecodeWindow {
  return {
    type: 'decode',
    samples,
    language: 'en',
    options: SPEECH_OPTIONS,
    promptTokens: [],
    promptText: undefined,
    speechEnd: undefined,
    lastSpeechSeconds: 0,
    seed: 0,
    ...overrides,
  };
}

/** A source of given samples in chunks of at most `chunkSize`. */
export function sourceOf(samples: Float32Array, chunkSize = 4096): PcmSource {
  let at = 0;
  return {
    warnings: [],
    async read(maxSamples) {
      if (at >= samples.length) return null;
      const chunk = samples.slice(at, at + Math.min(maxSamples, chunkSize));
      at += chunk.length;
      return chunk;
    },
    async close() {},
  };
}

/** Concatenates samples. */
export function joined(chunks: readonly Float32Array[]): Float32Array {
  const samples = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    samples.set(chunk, offset);
    offset += chunk.length;
  }
  return samples;
}

/** Reads the samples of an audio file, 16 kHz mono. */
export async function samplesOf(path: string): Promise<Float32Array> {
  const source = await openAudio(await readFile(path), { maxSeconds: 600, signal: new AbortController().signal });
  try {
    const parts: Float32Array[] = [];
    for (let part = await source.read(160_000); part !== null; part = await source.read(160_000)) parts.push(part);
    return joined(parts);
  } finally {
    await source.close();
  }
}

export async function eventsOf(events: AsyncIterable<SpeechEvent>): Promise<SpeechEvent[]> {
  const all: SpeechEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Transcribes samples and returns the text of the segments. */
export function textOf(events: readonly SpeechEvent[]): string {
  return events
    .map((event) => (event.type === 'segment' ? event.segment.text : ''))
    .join('')
    .trim();
}

/** Normalizes a text to lower case words, for comparisons without punctuation and case. */
export function plainWords(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9' ]+/g, ' ')
    .replace(/ +/g, ' ')
    .trim();
}

/** Returns the number of word errors (Levenshtein distance over words). */
export function wordErrors(transcribed: string, said: string): number {
  const expected = plainWords(said).split(' ');
  let row = expected.map((_, at) => at + 1);
  for (const [count, word] of plainWords(transcribed).split(' ').entries()) {
    const next: number[] = [];
    for (const [at, other] of expected.entries()) {
      const replaced = (at === 0 ? count : (row[at - 1] ?? 0)) + (word === other ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (at === 0 ? count + 1 : (next[at - 1] ?? 0)) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
