import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readJsonObject } from '../../src/json.js';
import { MergedDecoder } from '../../src/models/decoding/merged-decoder.js';
import { MoonshineNetwork } from '../../src/models/moonshine/network.js';
import { openDetector } from '../../src/models/silero/detector.js';
import { Encoder } from '../../src/models/whisper/encoder.js';
import { parseModelFile } from '../../src/onnx/index.js';
import { readTokenizerJson } from '../../src/tokenizer/slow/read.js';
import { inRepository, OPTIONS } from '../support/paths.js';
import { rejectionOf } from '../support/rejection.js';

describe('a file of a model that opens and cannot be read', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-unreadable-'));
  });
  after(() => rm(dir, { recursive: true }));

  // A directory opens as a file on a bad sector does, and Node.js names neither when it reads.
  const tokenizer = (path: string) => readTokenizerJson(dirname(path), {});
  for (const [name, read] of Object.entries<(path: string) => Promise<unknown>>({
    'config.json': readJsonObject,
    'model.onnx': async (path) => parseModelFile(path),
    'vocab.txt': tokenizer,
    'spiece.model': tokenizer,
  })) {
    it(`is named, as ${name}`, async () => {
      const path = join(dir, `of-${name}`, name);
      await mkdir(path, { recursive: true });
      expect((await rejectionOf(read(path), Error)).message)
        .to.match(/^EISDIR: .*, read '/)
        .and.to.contain(`'${path}'`);
    });
  }
});

describe('a graph of another model', () => {
  const faces = inRepository('demo/models/heimdex/face-pocket/face_detection_pocket.onnx');
  const sizes = { layerCount: 2, headCount: 4, headSize: 16 };

  for (const [name, open, said] of [
    ['voice activity detection', () => openDetector(faces), `Expected Silero VAD 5 or 6 at ${faces}; its graph has no`],
    [
      'an encoder',
      () => Encoder.open(faces, 80, OPTIONS),
      `Expected ${faces} to be a Whisper encoder, got inputs input.`,
    ],
    [
      'a decoder',
      () => MergedDecoder.open(faces, sizes, OPTIONS),
      `Expected ${faces} to be a merged decoder of 2 layers`,
    ],
    ['Moonshine', () => MoonshineNetwork.open(faces, faces, sizes, OPTIONS), 'to be a merged decoder of 2 layers'],
  ] as const) {
    it(`is refused by its path: ${name}`, async () => {
      expect((await rejectionOf(open(), Error)).message).to.contain(said);
    });
  }
});
