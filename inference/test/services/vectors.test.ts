import { expect } from 'chai';
import { encodeFrame, FrameReader } from '../../src/runner/frames.js';
import { toEmbeddingResult } from '../../src/services/vectors.js';

interface Answer {
  readonly outcomes: { ok: true; value: { vector: Float32Array; tokenCount: number; truncated: boolean } }[];
}

describe('vectors from the worker to the response', () => {
  const outcomes = [1, 2, 3].map((number) => ({
    ok: true,
    value: { vector: Float32Array.of(number, -number, 0.5), tokenCount: number, truncated: false },
  }));

  it('share one buffer that the response uses without a copy', () => {
    const [received] = new FrameReader().push(Buffer.concat(encodeFrame({ outcomes }))) as [Answer];
    const vectors = received.outcomes.map(({ value }) => value.vector);
    const written = received.outcomes.map((outcome) => toEmbeddingResult(outcome, 'bytes').result.value);
    expect(
      new Set(
        [...vectors, ...written.map((value) => (value as { float32Le: Uint8Array }).float32Le)].map(
          ({ buffer }) => buffer,
        ),
      ).size,
    ).to.equal(1);
    expect(vectors.map((vector) => [...vector])).to.deep.equal([
      [1, -1, 0.5],
      [2, -2, 0.5],
      [3, -3, 0.5],
    ]);
  });

  it('are little-endian bytes, or numbers if the caller requested floats', () => {
    const [outcome] = outcomes as Answer['outcomes'];
    if (outcome === undefined) throw new Error('no outcome');
    const bytes = toEmbeddingResult(outcome, 'bytes').result.value as { float32Le: Uint8Array; values: number[] };
    const view = new DataView(bytes.float32Le.buffer, bytes.float32Le.byteOffset, bytes.float32Le.byteLength);
    expect([0, 4, 8].map((at) => view.getFloat32(at, true))).to.deep.equal([1, -1, 0.5]);
    expect(bytes.values).to.deep.equal([]);
    const numbers = toEmbeddingResult(outcome, 'floats').result.value as { float32Le: Uint8Array; values: number[] };
    expect(numbers.values).to.deep.equal([1, -1, 0.5]);
    expect(numbers.float32Le.byteLength).to.equal(0);
  });
});
