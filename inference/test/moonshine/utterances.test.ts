import { expect } from 'chai';
import { audible, firstPause, quietestCut } from '../../src/models/moonshine/utterances.js';

/** A tone of that many seconds at 16 kHz. */
function tone(seconds: number, amplitude = 0.3): number[] {
  return Array.from({ length: seconds * 16_000 }, (_, at) => amplitude * Math.sin(at / 5));
}

describe('cutting an audio file into utterances', () => {
  it('cuts in the middle of the pause in its second half', () => {
    const samples = Float32Array.from([...tone(6), ...tone(0.4, 0), ...tone(2)]);
    expect(quietestCut(samples) / 16_000).to.be.within(6.05, 6.35);
  });

  it('prefers a pause in the second half to one in the first', () => {
    const samples = Float32Array.from([...tone(1), ...tone(0.4, 0), ...tone(5), ...tone(0.4, 0.01), ...tone(1)]);
    expect(quietestCut(samples) / 16_000).to.be.within(6.4, 6.8);
  });

  it('always moves on, without any pause as well', () => {
    const samples = Float32Array.from(tone(2));
    expect(quietestCut(samples)).to.be.within(16_000, 32_000);
    // The last 200 ms of several as quiet: longer utterances have more to go by.
    expect(quietestCut(new Float32Array(32_000))).to.equal(30_400);
  });

  it('ends an utterance in the first half second of silence after speech', () => {
    const samples = Float32Array.from([
      ...tone(1, 0),
      ...tone(1),
      ...tone(0.3, 0),
      ...tone(1),
      ...tone(1, 0),
      ...tone(1),
    ]);
    expect((firstPause(samples) ?? 0) / 16_000).to.be.within(3.3, 3.8);
    expect(firstPause(Float32Array.from([...tone(1), ...tone(0.3, 0), ...tone(1)]))).to.equal(undefined);
    expect(firstPause(new Float32Array(32_000))).to.equal(undefined);
  });

  it('treats the hum of a room as silence next to louder speech', () => {
    const samples = Float32Array.from([...tone(1), ...tone(1, 0.005), ...tone(1)]);
    expect((firstPause(samples) ?? 0) / 16_000).to.be.within(1.2, 1.5);
  });

  it('leaves out the silence around speech but for a margin', () => {
    const utterance = audible(Float32Array.from([...tone(1, 0), ...tone(1), ...tone(1, 0)]));
    expect((utterance?.start ?? 0) / 16_000).to.be.closeTo(0.8, 0.05);
    expect((utterance?.end ?? 0) / 16_000).to.be.closeTo(2.2, 0.05);
  });

  it('finds nothing in silence', () => {
    expect(audible(new Float32Array(16_000))).to.equal(undefined);
    expect(audible(new Float32Array(0))).to.equal(undefined);
  });
});
