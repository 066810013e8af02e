const RATE = 16_000;

/** Returns deterministic pseudorandom numbers in [0, 1) for a seed. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** A decaying note with overtones. */
function addNote(samples: Float32Array, at: number, seconds: number, hz: number): void {
  const from = Math.round(at * RATE);
  const to = Math.min(samples.length, from + Math.round(seconds * RATE));
  for (let i = from; i < to; i++) {
    const time = (i - from) / RATE;
    let value = 0;
    for (let overtone = 1; overtone <= 8; overtone++) {
      value += Math.sin(2 * Math.PI * hz * overtone * time) / overtone ** 2;
    }
    samples[i] = (samples[i] ?? 0) + 0.08 * value * Math.min(1, time / 0.01) * Math.exp(-2 * time);
  }
}

/** A decaying beat of noise. */
function addBeat(samples: Float32Array, at: number, random: () => number): void {
  const from = Math.round(at * RATE);
  for (let i = from; i < Math.min(samples.length, from + 3000); i++) {
    samples[i] = (samples[i] ?? 0) + 0.25 * (2 * random() - 1) * Math.exp((from - i) / 600);
  }
}

/** Chords, a tune and drums, without vocals. */
export function music(seconds: number, seed: number): Float32Array {
  const samples = new Float32Array(seconds * RATE);
  const random = dice(seed);
  const beat = 0.5 + 0.1 * random();
  const tonic = 220 * 2 ** (Math.floor(12 * random()) / 12);
  const hz = (semitones: number) => tonic * 2 ** (semitones / 12);
  const chords = [
    [0, 4, 7],
    [9, 12, 16],
    [5, 9, 12],
    [7, 11, 14],
  ];
  for (let bar = 0; bar * 2 * beat < seconds - 1; bar++) {
    for (const note of chords[bar % chords.length] ?? []) addNote(samples, bar * 2 * beat, 2 * beat, hz(note));
    for (let half = 0; half < 4; half++) {
      addBeat(samples, (bar * 2 + half / 2) * beat, random);
      addNote(samples, (bar * 2 + half / 2) * beat, beat, hz(12 + 2 * Math.floor(6 * random())));
    }
  }
  return samples;
}
