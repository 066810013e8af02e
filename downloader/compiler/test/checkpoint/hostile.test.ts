import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bertShapes, randomTensors, safetensorsFile, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { randomNumbers } from '../../src/check/random-numbers.js';
import { assertConfig, CompilerError, compileCheckpoint, openCheckpoint, Weights } from '../../src/index.js';
import { refusal, temporaryDir } from '../support/dir.js';
import { BERT_CONFIG, BERT_SIZE, bertTensors } from '../support/stand-ins.js';

const HOSTILE = fileURLToPath(new URL('../../../test/hostile/', import.meta.url));

/** Memory for reading a file and all of its tensors, in addition to the file. */
const MEMORY_BYTES = 64 << 20;

function readAll(path: string): number {
  const checkpoint = openCheckpoint(path);
  const weights = new Weights(checkpoint);
  try {
    for (const [name, { shape }] of checkpoint.tensors) weights.take(name, shape);
    return checkpoint.tensors.size;
  } finally {
    weights.close();
  }
}

describe('a hostile checkpoint', () => {
  const dir = temporaryDir();

  for (const [file, code, what] of [
    ['evil.pt', 'CHECKPOINT_REFUSED', /os|posix|system/],
    ['offsets-overlap.safetensors', 'CHECKPOINT_INVALID', /tensor \w+/],
    ['offsets-beyond.safetensors', 'CHECKPOINT_INVALID', /beyond/],
    ['shape-lies.safetensors', 'CHECKPOINT_INVALID', /shape/],
    ['not-json.safetensors', 'CHECKPOINT_INVALID', /JSON/],
    ['header-huge.safetensors', 'CHECKPOINT_INVALID', /header of 4611686018427387904 bytes/],
    ['nan.safetensors', 'TENSOR_NOT_FINITE', /tensor \w+ at element \d/],
    ['dtype-unknown.safetensors', 'CHECKPOINT_UNSUPPORTED', /F32, F16 or BF16, got \S+ If its weights were quantized/],
  ] as const) {
    it(`is refused by name, runs nothing and costs no memory: ${file}`, async () => {
      const before = process.memoryUsage().rss;
      const error = await refusal(() => readAll(join(HOSTILE, file)));
      expect(error.code, error.message).to.equal(code);
      expect(error.message).to.match(what);
      expect(process.memoryUsage().rss - before).to.be.below(MEMORY_BYTES);
      for (const dir of [process.cwd(), HOSTILE]) expect(existsSync(join(dir, 'ran-by-pickle'))).to.equal(false);
    });
  }

  for (const [config, size] of [
    [{ max_position_embeddings: 1 }, { positions: 1 }],
    [{ model_type: 'xlm-roberta', max_position_embeddings: 8, pad_token_id: 5 }, { positions: 8 }],
    [
      { hidden_size: 3, num_attention_heads: 1, intermediate_size: 2 },
      { width: 3, inner: 2 },
    ],
    [
      { hidden_size: 6, intermediate_size: 7 },
      { width: 6, inner: 7 },
    ],
  ] as const) {
    it(`of next to no size is compiled all the same: ${JSON.stringify(config)}`, async () => {
      const tensors = randomTensors(bertShapes({ ...BERT_SIZE, ...size }));
      const checkpoint = dir.write('short.safetensors', safetensorsFile(tensors));
      const { graphs } = await compileCheckpoint({
        checkpoint,
        config: { ...BERT_CONFIG, ...config },
        dir: dir.fresh(),
        precision: 'int8',
        overflowSafe: true,
      });
      expect(graphs).to.have.length(1);
    });
  }

  for (const [config, named] of [
    [{ vision_config: { image_size: 1_000_000 } }, 'vision_config.image_size'],
    [{ vision_config: { image_size: 2048, patch_size: 1 } }, '1 to 16384 patches, got 4194304'],
    [{ vision_config: { image_size: 8, patch_size: 16 } }, '1 to 16384 patches, got 0'],
    [{ text_config: { max_position_embeddings: 1 << 20 } }, 'text_config.max_position_embeddings'],
  ] as const) {
    it(`with a size that no memory has asks for none: a SigLIP of ${JSON.stringify(config)}`, async () => {
      const error = await refusal(() => assertConfig({ model_type: 'siglip', ...config }));
      expect(error.code).to.equal('CONFIG_UNSUPPORTED');
      expect(error.message).to.include(named);
    });
  }

  for (const [name, whole] of [
    ['safetensors', safetensorsFile(bertTensors())],
    ['pt', torchFile(bertTensors())],
  ] as const) {
    it(`of flipped bytes, or cut short, is an error or is read whole, never anything else: ${name}`, () => {
      const random = randomNumbers(name === 'pt' ? 1 : 2);
      const count = openCheckpoint(dir.write(`whole.${name}`, whole)).tensors.size;
      let read = 0;
      let refused = 0;
      for (let round = 0; round < 400; round++) {
        const bytes = Buffer.from(round % 4 === 0 ? whole.subarray(0, Math.floor(random() * whole.length)) : whole);
        // Most flips go where the tables of contents are: the beginning and the end.
        for (let flips = Math.ceil(random() * 3); flips > 0 && bytes.length > 0; flips--) {
          const span = Math.min(bytes.length, 2000);
          const at = random() < 0.5 ? random() * span : bytes.length - 1 - random() * span;
          const position = Math.floor(random() < 0.8 ? at : random() * bytes.length);
          bytes[position] = (bytes[position] as number) ^ (1 << Math.floor(random() * 8));
        }
        try {
          expect(readAll(dir.write(`fuzz.${name}`, bytes))).to.be.at.most(count);
          read += 1;
        } catch (error) {
          if (!(error instanceof CompilerError)) throw error;
          refused += 1;
        }
      }
      expect(refused).to.be.above(100);
      expect(read).to.be.above(10);
    });
  }

  it('as OpenAI writes them, flipped in its older form too, is an error or is read', function () {
    const path = fileURLToPath(
      new URL(
        '../../../../../../shared/models/checkpoints/whisper-tiny-random-openai/whisper/tiny-random-legacy.pt',
        import.meta.url,
      ),
    );
    if (!existsSync(path)) {
      console.log(`      skipped: ${path} is not there`);
      this.skip();
    }
    const whole = readFileSync(path);
    const random = randomNumbers(3);
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(round % 4 === 0 ? whole.subarray(0, Math.floor(random() * whole.length)) : whole);
      const position = Math.floor(random() * Math.min(bytes.length, 20_000));
      if (bytes.length > 0) bytes[position] = Math.floor(random() * 256);
      try {
        openCheckpoint(dir.write('legacy.pt', bytes));
      } catch (error) {
        if (!(error instanceof CompilerError)) throw error;
        refused += 1;
      }
    }
    expect(refused).to.be.above(10);
  });
});
