import { Worker } from 'node:worker_threads';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { EmbedImageRequestSchema, EmbedTextRequestSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { Priority } from '../../src/priority.js';
import { startThread } from '../../src/start-thread.js';
import { JsonThread } from '../../src/transport/messages/json-thread.js';
import { MessageDecoder, messageLimits } from '../../src/transport/messages/message-decoder.js';
import { errorOf } from '../support/rejection.js';

const MAIN = new URL('../../src/transport/messages/json-thread-main.js', import.meta.url);
const NEVER = { signal: new AbortController().signal, priority: 'interactive' } as const;
const LIMITS = messageLimits({ maxBatchItems: 4, maxMessageBytes: 64 * 1024 * 1024 });
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const large = (bytes = 4_000_000) => bytesOf({ images: [{ content: Buffer.alloc(bytes, 7).toString('base64') }] });

describe('large JSON', () => {
  const decoder = new MessageDecoder(LIMITS);
  after(() => decoder.close());

  it('is parsed on a separate thread', async () => {
    let turns = 0;
    let decoded = false;
    const count = () => {
      turns += 1;
      if (!decoded) setImmediate(count);
    };
    setImmediate(count);
    const message = (await decoder.json(EmbedImageRequestSchema, large(), NEVER)) as unknown as {
      readonly images: readonly { readonly content: Uint8Array }[];
    };
    decoded = true;
    expect(turns).to.be.greaterThan(10);
    const [image] = message.images;
    expect(image?.content.byteLength).to.equal(4_000_000);
    expect(image?.content.every((byte) => byte === 7)).to.equal(true);
  });

  it('reports its error as for small JSON', async () => {
    for (const padding of [0, 100_000]) {
      const wrong = [
        { text: `{"texts":["${'a'.repeat(padding)}"],"text":"b"}`, said: /text/ },
        { text: `{"texts":["${'a'.repeat(padding)}"`, said: /EmbedTextRequest/ },
        { text: `{"texts":["${'a'.repeat(padding)}"${',0'.repeat(20_000)}]}`, said: /more than 10000 values/ },
      ];
      for (const { text, said } of wrong) {
        const error = await errorOf(decoder.json(EmbedTextRequestSchema, Buffer.from(text), NEVER));
        expect(error.code).to.equal('INVALID_ARGUMENT');
        expect(error.message).to.match(said);
      }
    }
  });

  it('that is no such message is refused with what is wrong, and the name of the message once', async () => {
    const error = await errorOf(decoder.json(EmbedTextRequestSchema, bytesOf({ text: 'b' }), NEVER));
    expect(error.message).to.equal(
      `The request is not a valid ${EmbedTextRequestSchema.typeName}: key "text" is unknown.`,
    );
  });

  it('that has another value in place of a message is refused with what was expected', async () => {
    const expected = /ImageInput.*: expected an object such as {"content": ...}, got /;
    for (const image of ['iVBORw0KGgo=', 'A'.repeat(100_000), 7, ['aa'], true]) {
      const error = await errorOf(decoder.json(EmbedImageRequestSchema, bytesOf({ images: [image] }), NEVER));
      expect(error.message).to.match(expected);
    }
    const whole = await errorOf(decoder.json(EmbedImageRequestSchema, bytesOf('aa'), NEVER));
    expect(whole.message).to.match(/: expected an object such as {"images": ...}, got "aa"\.$/);
    expect((await errorOf(decoder.json(ValueSchema, Buffer.from('{'), NEVER))).message).to.match(/Value: /);
  });

  it('that has a data URL in place of base64 is refused with what was expected', async () => {
    const images = [{ content: 'data:image/png;base64,AAAA' }];
    const error = await errorOf(decoder.json(EmbedImageRequestSchema, bytesOf({ images }), NEVER));
    expect(error.message).to.match(
      /content.*: expected the bytes in base64 alone, without "data:\.\.\.;base64," before them\.$/,
    );
  });

  it('that has a list of numbers or a Buffer as JSON in place of base64 is refused with what was expected', async () => {
    for (const content of [[137, 80], Buffer.from('PNG'), 7]) {
      const error = await errorOf(decoder.json(EmbedImageRequestSchema, bytesOf({ images: [{ content }] }), NEVER));
      expect(error.message).to.match(/content from JSON: expected a string, the bytes in base64, got /);
    }
  });

  it('of a disconnected caller is skipped, unlike those of others', async () => {
    const gone = new AbortController();
    const caller = { ...NEVER, signal: gone.signal };
    const reason = new InferenceError('CANCELLED', 'gone');
    const first = decoder.json(EmbedImageRequestSchema, large(), NEVER);
    const second = errorOf(decoder.json(EmbedImageRequestSchema, large(), caller));
    const third = decoder.json(EmbedImageRequestSchema, large(), NEVER);
    gone.abort(reason);
    expect(await second).to.equal(reason);
    expect(await errorOf(decoder.json(EmbedImageRequestSchema, large(), caller))).to.equal(reason);
    await first;
    await third;
  });

  it('of bulk calls waits for that of an interactive one, all but the message that is being parsed', async () => {
    const order: string[] = [];
    const parse = (priority: Priority) =>
      decoder.json(EmbedImageRequestSchema, large(100_000), { ...NEVER, priority }).then(() => order.push(priority));
    await Promise.all([parse('bulk'), parse('bulk'), parse('bulk'), parse('interactive')]);
    expect(order).to.deep.equal(['bulk', 'interactive', 'bulk', 'bulk']);
  });

  it('is refused if no thread can be started, and parsed when one can', async () => {
    let isFull = true;
    const thread = new JsonThread({ maxValues: 100, maxDepth: 8 }, () => {
      if (isFull) throw new InferenceError('QUEUE_FULL', 'no thread is left');
      return startThread(MAIN);
    });
    const parse = () => thread.toBinary(EmbedTextRequestSchema.typeName, bytesOf({ texts: ['a'] }), NEVER);
    try {
      expect((await errorOf(parse())).code).to.equal('QUEUE_FULL');
      isFull = false;
      expect((await parse()).byteLength).to.equal(3);
    } finally {
      await thread.close();
    }
  });

  it('whose thread dies of an error is answered with that error, and the next JSON is parsed by a new thread', async () => {
    const dying = `const { parentPort } = require('node:worker_threads');
      parentPort.on('message', (message) => { if (message === 'die') throw new Error('out of memory'); });
      parentPort.postMessage({ kind: 'started' });`;
    const programs = [dying, undefined];
    const thread = new JsonThread({ maxValues: 100, maxDepth: 8 }, () => {
      const source = programs.shift();
      if (source === undefined) return startThread(MAIN);
      const worker = new Worker(source, { eval: true });
      // Not before it is known to have started: an error may overtake a message.
      return worker.once('message', () => worker.postMessage('die'));
    });
    const parse = () => thread.toBinary(EmbedTextRequestSchema.typeName, bytesOf({ texts: ['a'] }), NEVER);
    try {
      const both = [parse(), parse()];
      const error = await both[0]?.catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(Error).with.property('message', 'out of memory');
      expect((await both[1])?.byteLength).to.equal(3);
    } finally {
      await thread.close();
    }
  });

  it('that is being parsed is refused when its thread is closed', async () => {
    const late = `const { parentPort } = require('node:worker_threads');
      parentPort.on('message', () => {
        parentPort.postMessage({ kind: 'started' });
        parentPort.postMessage({ kind: 'wrong', message: 'late' });
      });`;
    let error: Promise<unknown> | undefined;
    await new Promise((resolve) => {
      const thread = new JsonThread({ maxValues: 100, maxDepth: 8 }, () =>
        new Worker(late, { eval: true }).once('message', () => resolve(thread.close())),
      );
      error = thread
        .toBinary(EmbedTextRequestSchema.typeName, bytesOf({ texts: ['a'] }), NEVER)
        .catch((reason) => reason);
    });
    expect(await error).to.have.property('message', 'the thread for JSON: closed');
  });

  it('is parsed by the next thread when the last one has ended', async () => {
    await decoder.close();
    await decoder.json(EmbedImageRequestSchema, large(), NEVER);
  });
});
