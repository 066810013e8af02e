import { brotliCompressSync, gzipSync } from 'node:zlib';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { Decompressor, type Encoding } from '../../src/transport/messages/decompress.js';

const LARGE = gzipSync(Buffer.alloc(32 * MIB), { level: 1 });

describe('a small compressed message', () => {
  /** What happens first while two large messages are decompressed: one of them is done, or a part of the small one. */
  async function first(small: Buffer, encoding: Encoding): Promise<string | undefined> {
    const decompressor = new Decompressor();
    const seen: string[] = [];
    const caller = { signal: new AbortController().signal, priority: 'interactive' } as const;
    const unpack = (bytes: Buffer, how: Encoding, name: string) => {
      const limit = { maxBytes: 64 * MIB, unpack: () => seen.push(`part of ${name}`) };
      return decompressor.unpack(bytes, how, limit, caller).then(() => seen.push(`${name} done`));
    };
    await Promise.all([
      unpack(LARGE, 'gzip', 'large'),
      unpack(LARGE, 'gzip', 'large'),
      unpack(small, encoding, 'small'),
    ]);
    return seen.find((event) => event !== 'part of large');
  }

  it('is decompressed while large ones are', async () => {
    expect(await first(gzipSync('small'), 'gzip')).to.equal('part of small');
  });

  it('in brotli waits for its turn, as it may decompress to much', async () => {
    expect(await first(brotliCompressSync(Buffer.alloc(MIB)), 'br')).to.equal('large done');
  });
});
