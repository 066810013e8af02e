import { setImmediate as nextTurn } from 'node:timers/promises';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { collectGarbage } from '../../src/process/garbage.js';
import { MessageBuffer } from '../../src/transport/messages/message-buffer.js';

const CYCLE = Uint8Array.from({ length: 251 }, (_, index) => index);

/** Chunks of a size that divides nothing, whose bytes say where they are. */
function* chunksOf(bytes: number): Generator<Uint8Array> {
  const all = Buffer.alloc(bytes, CYCLE);
  for (let at = 0; at < bytes; at += 65_521) yield all.subarray(at, at + 65_521);
}

describe('the message buffer', () => {
  it('has all its bytes, for any size', () => {
    for (const bytes of [0, 1, 65_521, MIB, MIB + 1, 3 * MIB, 5 * MIB + 7]) {
      const chunks = [...chunksOf(bytes)];
      for (const most of [bytes, 16 * MIB]) {
        const message = new MessageBuffer(most);
        for (const chunk of chunks) message.push(chunk);
        expect(message.bytes).to.equal(bytes);
        expect(message.take().equals(Buffer.concat(chunks)), `${bytes} of ${most}`).to.equal(true);
      }
    }
  });

  it('is left alone by the next one', () => {
    const message = new MessageBuffer(4 * MIB);
    for (const chunk of chunksOf(2 * MIB)) message.push(chunk);
    const first = message.take();
    message.push(new Uint8Array(2 * MIB).fill(7));
    message.clear();
    expect(first.byteLength).to.equal(2 * MIB);
    expect(first.every((byte, index) => byte === index % 251)).to.equal(true);
  });

  it('uses little memory for bytes that arrive one by one, each in a block with much else', async () => {
    const usedBytes = () => {
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = usedBytes();
    const message = new MessageBuffer(16 * MIB);
    for (let block = 0; block < 200; block += 1) {
      const bytes = new Uint8Array(64 * 1024).fill(block);
      for (let at = 0; at < 1000; at += 1) message.push(bytes.subarray(at, at + 1));
    }
    let usedNow = usedBytes() - before;
    // V8 frees blocks on another thread, which may have to wait for a processor.
    for (let turn = 0; turn < 100 && usedNow >= 2 * MIB; turn += 1) {
      await nextTurn();
      usedNow = usedBytes() - before;
    }
    expect(usedNow).to.be.lessThan(2 * MIB);
    expect(message.take().every((byte, index) => byte === Math.floor(index / 1000))).to.equal(true);
  });

  it('uses no memory for what has not arrived', () => {
    const before = process.memoryUsage().arrayBuffers;
    const messages = Array.from({ length: 100 }, () => new MessageBuffer(64 * MIB));
    for (const message of messages) message.push(new Uint8Array(MIB + 1));
    // V8 collects everything there is when it counts that much.
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(messages.length * 4 * MIB);
    for (const message of messages) message.clear();
  });
});
