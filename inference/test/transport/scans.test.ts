import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { DescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  EmbedImageRequestSchema,
  EmbedTextRequestSchema,
  Timestamps,
  TranscribeRequestSchema,
  TranscribeTask,
} from '@heimdex/gen';
import { expect } from 'chai';
import { refuseBinary } from '../../src/transport/messages/scan-binary.js';
import { refuseJson } from '../../src/transport/messages/scan-json.js';

const LIMITS = { maxValues: 1000, maxDepth: 8, maxTextBytes: 10_000 };
const json = (text: string) => refuseJson(Buffer.from(text), LIMITS);

describe('the cost of JSON', () => {
  it('is its values and its depth, wherever they are', () => {
    expect(json(`{"images":[${'{},'.repeat(998)}{}]}`)).to.match(/more than 1000 values/);
    expect(json(`[${'0,'.repeat(1000)}0]`)).to.match(/more than 1000 values/);
    expect(json('['.repeat(9))).to.match(/deeper than 8/);
    expect(json(`[[],${'['.repeat(8)}`)).to.match(/deeper than 8/);
    expect(json('[[[[[[[[]]]]]]]]')).to.equal(undefined);
    expect(json(`{"a":[${'[],'.repeat(400)}[]]}`)).to.equal(undefined);
  });

  it('ignores strings, however they are written', () => {
    const commas = ',[{'.repeat(2000);
    for (const text of [commas, `\\"${commas}`, `${commas}\\\\`, `\\u0022${commas}`, 'A'.repeat(1_000_000)]) {
      expect(json(`{"texts":["${text}","${text}"]}`), text.slice(0, 10)).to.equal(undefined);
    }
    expect(json(`{"a":"\\\\","b":[${'1,'.repeat(1000)}1]}`)).to.match(/values/);
    expect(json(`{"a":"\\"","b":[${'1,'.repeat(1000)}1]}`)).to.match(/values/);
  });

  it('is left to the parser if the text is not JSON', () => {
    for (const text of ['', '"', '"\\', '{"texts": 7', ']]]]', '\u0000', ' '.repeat(100_000)]) {
      expect(json(text)).to.equal(undefined);
    }
  });
});

describe('the cost of a message', () => {
  const image = (init: MessageInitShape<typeof EmbedImageRequestSchema>) =>
    refuseBinary(
      EmbedImageRequestSchema,
      toBinary(EmbedImageRequestSchema, create(EmbedImageRequestSchema, init)),
      LIMITS,
    );

  it('is its entries, its unknown fields and its text, in every message inside', () => {
    expect(image({ images: Array.from({ length: 1000 }, () => ({})) })).to.equal(undefined);
    expect(image({ images: Array.from({ length: 1001 }, () => ({})) })).to.match(/more than 1000 values/);
    const unknown = Buffer.alloc(4000, Buffer.from([0x78, 1]));
    expect(refuseBinary(EmbedImageRequestSchema, unknown, LIMITS)).to.match(/values/);
    const inside = Buffer.concat([Buffer.from([0x0a, 0xa0, 0x1f]), unknown]);
    expect(refuseBinary(EmbedImageRequestSchema, inside, LIMITS)).to.match(/values/);
    expect(refuseBinary(EmbedImageRequestSchema, Buffer.alloc(9, 0x7b), LIMITS)).to.match(/deeper/);
    for (const groups of [Buffer.alloc(8, 0x7b), Buffer.alloc(18, Buffer.from([0x7b, 0x7c]))]) {
      expect(refuseBinary(EmbedImageRequestSchema, groups, LIMITS)).to.equal(undefined);
    }
    const texts = create(EmbedTextRequestSchema, { texts: ['x'.repeat(6000), 'y'.repeat(6000)] });
    const bytes = toBinary(EmbedTextRequestSchema, texts);
    expect(refuseBinary(EmbedTextRequestSchema, bytes, LIMITS)).to.match(/bytes of text/);
    const temperatures = create(TranscribeRequestSchema, {
      options: { temperatures: Array.from({ length: 1001 }, () => 0) },
    });
    expect(refuseBinary(TranscribeRequestSchema, toBinary(TranscribeRequestSchema, temperatures), LIMITS)).to.match(
      /values/,
    );
  });

  it('is what the decoder reads, also behind what protobuf does not allow', () => {
    const images = Buffer.alloc(2002, Buffer.from([0x0a, 0]));
    const texts = Buffer.alloc(3 * 1001, Buffer.from([0x0a, 1, 0x61]));
    const before: readonly (readonly [string, DescMessage, number[], Buffer])[] = [
      ['a length beyond 32 bits', EmbedImageRequestSchema, [0x7a, 0x80, 0x80, 0x80, 0x80, 0x10], images],
      ['a number of eleven bytes', EmbedImageRequestSchema, [0x78, ...Array(10).fill(0x80), 0], images],
      [
        'a field that ends behind its message',
        EmbedImageRequestSchema,
        [0x0a, 1, 0x0a, 0x7a, 0xff, 0xff, 0xff, 0xff, 0x7f, ...Array(117).fill(0)],
        images,
      ],
      ['a number in an unknown group', EmbedTextRequestSchema, [0x7b, 0x08, 0x7e, 0x7c], texts],
      ['a text whose tag says number', EmbedTextRequestSchema, [0x08, 6, 0x7a, 0xf0, 0x90, 0x80, 0x80, 1], texts],
    ];
    for (const [what, desc, bytes, values] of before) {
      const message = Buffer.concat([Buffer.from(bytes), values]);
      expect(() => fromBinary(desc, message), what).not.to.throw();
      expect(refuseBinary(desc, message, LIMITS), what).to.match(/more than 1000 values/);
    }
  });

  it('is counted behind fields of every kind, and of a list of numbers in one field', () => {
    const bytes = toBinary(
      TranscribeRequestSchema,
      create(TranscribeRequestSchema, {
        options: {
          language: 'en',
          task: TranscribeTask.TRANSLATE,
          timestamps: Timestamps.WORD,
          temperatures: [0, 0.5],
          beamSize: 5,
          vadFilter: true,
          clipStartSeconds: 1,
          vadParameters: { threshold: 0.5 },
        },
      }),
    );
    const count = (rest: Uint8Array) => refuseBinary(TranscribeRequestSchema, Buffer.concat([bytes, rest]), LIMITS);
    expect(count(Buffer.alloc(3 * 1001, Buffer.from([0x7a, 1, 0])))).to.match(/more than 1000 values/);
    const audio = create(TranscribeRequestSchema, { audio: { content: new Uint8Array(20_000) } });
    expect(count(toBinary(TranscribeRequestSchema, audio))).to.equal(undefined);
  });

  it('is its depth, of a message that may hold itself', () => {
    // Field 3, as long as all that it holds.
    const nested = (levels: number): number[] => {
      const inner = levels === 0 ? [] : nested(levels - 1);
      return levels === 0 ? inner : [0x1a, inner.length, ...inner];
    };
    const depth = (levels: number) => refuseBinary(DescriptorProtoSchema, Uint8Array.from(nested(levels)), LIMITS);
    expect([depth(8), depth(9)]).to.deep.equal([undefined, 'it is nested deeper than 8']);
  });

  it('ignores the content of bytes', () => {
    const content = new Uint8Array(1_000_000);
    expect(image({ images: [{ content }, { content }] })).to.equal(undefined);
  });

  it('is left to the decoder if the bytes are not a message', () => {
    for (const bytes of [[], [0xff], [0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x13], [0x0a, 50, 0x61], [0x0a], [0x09, 1]]) {
      expect(refuseBinary(EmbedTextRequestSchema, Uint8Array.from(bytes), LIMITS)).to.equal(undefined);
    }
  });

  it('is counted as in the decoder, for any bytes', () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed;
    };
    for (let turn = 0; turn < 500; turn += 1) {
      const bytes = Uint8Array.from({ length: 1 + (random() % 60) }, () => random() & (turn % 2 === 0 ? 0x1f : 0xff));
      let decodes = true;
      try {
        fromBinary(TranscribeRequestSchema, bytes);
      } catch {
        decodes = false;
      }
      const refusal = refuseBinary(TranscribeRequestSchema, bytes, LIMITS);
      if (decodes && refusal !== undefined) expect(refusal).to.match(/deeper|values/);
    }
  });
});
