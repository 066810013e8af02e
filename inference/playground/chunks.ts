/** Cuts audio into chunks that the server transcribes one after the other, so that words appear as they come. */

/** Whisper's rate. */
export const SAMPLE_RATE_HZ = 16_000;
/** Length of the chunks: the first words come soon, and later chunks are at most one window of Whisper. */
const CHUNK_SECONDS = [8, 16];
const LONGEST_SECONDS = 28;
/** A chunk ends at the quietest moment of its last part. */
const SEARCH_SHARE = 0.3;
const FRAME = SAMPLE_RATE_HZ / 50;

export interface Chunk {
  readonly startSeconds: number;
  /** Mono, 16 bits, little endian, SAMPLE_RATE_HZ. */
  readonly pcm: Blob;
}

/** Mono samples of an audio file or of a video's sound. Rejects what the browser cannot decode. */
export async function samplesOf(file: Blob): Promise<Float32Array> {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ);
  const audio = await context.decodeAudioData(await file.arrayBuffer());
  const mixed = new Float32Array(audio.length);
  for (let channel = 0; channel < audio.numberOfChannels; channel += 1) {
    for (const [at, sample] of audio.getChannelData(channel).entries()) {
      mixed[at] = (mixed[at] ?? 0) + sample / audio.numberOfChannels;
    }
  }
  return mixed;
}

export function* chunksOf(samples: Float32Array): Generator<Chunk, void, void> {
  let start = 0;
  for (let count = 0; start < samples.length; count += 1) {
    const end = endOf(samples, start, (CHUNK_SECONDS[count] ?? LONGEST_SECONDS) * SAMPLE_RATE_HZ);
    const pcm = new Int16Array(end - start);
    for (let at = start; at < end; at += 1) {
      pcm[at - start] = Math.round(Math.max(-1, Math.min(1, samples[at] ?? 0)) * 32_767);
    }
    yield { startSeconds: start / SAMPLE_RATE_HZ, pcm: new Blob([pcm]) };
    start = end;
  }
}

function endOf(samples: Float32Array, start: number, longest: number): number {
  const latest = start + longest;
  if (latest >= samples.length) return samples.length;
  let best = latest;
  let least = Number.POSITIVE_INFINITY;
  for (let at = latest - Math.round(longest * SEARCH_SHARE); at + FRAME <= latest; at += FRAME) {
    const energy = samples.subarray(at, at + FRAME).reduce((sum, sample) => sum + sample * sample, 0);
    if (energy < least) {
      least = energy;
      best = at + FRAME / 2;
    }
  }
  return best;
}
