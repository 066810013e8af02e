import { expect } from 'chai';
import { encodeFrame, FrameReader, MAX_FRAME_BYTES } from '../../src/runner/frames.js';

function bytesOf(message: unknown): Buffer {
  return Buffer.concat(encodeFrame(message));
}

describe('frames', () => {
  it('preserve plain data', () => {
    const message = { type: 'run', list: [1, 2, { deep: 'ä' }], none: null, yes: true, tokens: [1, 2, 3] };
    expect(new FrameReader().push(bytesOf(message))).to.deep.equal([message]);
  });

  it('preserve typed arrays anywhere in a message', () => {
    const message = {
      image: new Uint8Array([1, 2, 3]),
      nested: [{ vector: new Float32Array([0.5, -2]) }, { empty: new Uint8Array() }],
      ids: new Int32Array([-7]),
      wide: new Float64Array([1e300]),
    };
    const frame = bytesOf(message);
    expect(new FrameReader().push(frame)).to.deep.equal([message]);
  });

  it('contain only the viewed bytes of a larger buffer', () => {
    const message = { content: Buffer.from('before image after').subarray(7, 12) };
    const [received] = new FrameReader().push(bytesOf(message)) as [{ content: Uint8Array }];
    expect(Buffer.from(received.content).toString()).to.equal('image');
  });

  it('preserve numbers that JSON cannot represent', () => {
    const message = { worst: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY };
    expect(new FrameReader().push(bytesOf(message))).to.deep.equal([message]);
    const [received] = new FrameReader().push(bytesOf({ odd: Number.NaN })) as [{ odd: number }];
    expect(received.odd).to.be.NaN;
  });

  it('preserve strings with the mark and lone surrogates', () => {
    for (const text of ['\u0000a0', '\u0000n1', '\u0000', '\u0000s', 'a\u0000b', '\ud800']) {
      expect(new FrameReader().push(bytesOf({ text })), JSON.stringify(text)).to.deep.equal([{ text }]);
    }
  });

  it('are decoded from chunks of any size', () => {
    const messages = [{ a: new Float32Array([1, 2, 3]) }, { b: 'second' }, { c: new Uint8Array(100) }];
    const all = Buffer.concat(messages.map(bytesOf));
    for (const size of [1, 3, 7, 64, all.length]) {
      const reader = new FrameReader();
      const received: unknown[] = [];
      for (let start = 0; start < all.length; start += size)
        received.push(...reader.push(all.subarray(start, start + size)));
      expect(received, `chunks of ${size}`).to.deep.equal(messages);
    }
  });

  it('are rejected above the maximum size', () => {
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32LE(MAX_FRAME_BYTES + 1, 0);
    expect(() => new FrameReader().push(prefix)).to.throw(/exceeds/);
  });

  it('accept only plain data', () => {
    expect(() => encodeFrame({ big: 1n })).to.throw(/bigint/);
    expect(() => encodeFrame({ words: new BigInt64Array(1) })).to.throw(/can contain only/);
  });
});
