import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  DetectFacesRequestSchema,
  EmbedImageRequestSchema,
  EmbedTextRequestSchema,
  TranscribeRequestSchema,
  TranscribeStreamRequestSchema,
} from '@heimdex/gen';
import { expect } from 'chai';
import { encodeMessage } from '../src/transport/encode.js';

/** Bytes of a file, all different from their neighbours. */
function file(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 7) % 251);
}

const images = [file(0), file(100), file(5_000), file(300_000)].map((content) => ({ content }));

describe('encoded requests', () => {
  const requests = [
    [EmbedImageRequestSchema, create(EmbedImageRequestSchema, { images, normalize: false })],
    [EmbedImageRequestSchema, create(EmbedImageRequestSchema)],
    [DetectFacesRequestSchema, create(DetectFacesRequestSchema, { images, scoreThreshold: 0.5, maxFaces: 3 })],
    [EmbedTextRequestSchema, create(EmbedTextRequestSchema, { texts: ['a', 'ü'.repeat(5_000)] })],
    [
      TranscribeRequestSchema,
      create(TranscribeRequestSchema, {
        audio: { content: file(200_000), raw: { sampleRateHz: 16_000, channelCount: 1 } },
        options: { language: 'de', temperatures: [0, 0.5] },
      }),
    ],
    [TranscribeRequestSchema, create(TranscribeRequestSchema, { audio: { content: file(10) } })],
    [
      TranscribeStreamRequestSchema,
      create(TranscribeStreamRequestSchema, { message: { case: 'audio', value: file(70_000) } }),
    ],
  ] as const;

  for (const [index, [desc, message]] of requests.entries()) {
    it(`are the same message as those of the library, in as many bytes: ${desc.name}, ${index}`, () => {
      const bytes = encodeMessage<typeof desc>(desc, message);
      expect(bytes.byteLength).to.equal(toBinary(desc, message).byteLength);
      expect(fromBinary(desc, bytes)).to.deep.equal(message);
    });
  }

  it('leave the message unchanged', () => {
    const message = create(EmbedImageRequestSchema, { images });
    encodeMessage(EmbedImageRequestSchema, message);
    expect(message).to.deep.equal(create(EmbedImageRequestSchema, { images }));
  });

  it('keep fields of a newer contract', () => {
    const newer = new BinaryWriter().tag(1000, WireType.Varint).uint32(7).finish();
    const message = fromBinary(EmbedImageRequestSchema, newer);
    expect(fromBinary(EmbedImageRequestSchema, encodeMessage(EmbedImageRequestSchema, message))).to.deep.equal(message);
    expect(message.$unknown).to.have.lengthOf(1);
  });

  it('share no memory with the caller', () => {
    const content = file(5_000);
    const bytes = encodeMessage(EmbedImageRequestSchema, create(EmbedImageRequestSchema, { images: [{ content }] }));
    const before = Buffer.from(bytes);
    content.fill(0);
    expect(bytes.equals(before)).to.equal(true);
  });

  it('fail for a value of the wrong type', () => {
    const message = create(EmbedImageRequestSchema, { images: [{ content: 'text' as unknown as Uint8Array }] });
    expect(() => encodeMessage(EmbedImageRequestSchema, message)).to.throw(/content/);
  });
});
