import { hasExactByteProducts } from '@heimdex/cache';
import { pastName, presentName, WHISPER_VALUES } from '@heimdex/onnx';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { architectureOf, uniformRecipe } from '../src/index.js';
import { CompiledCheckpoint, cosine, floats, golden, needsCheckpoints, relativeError } from './support/checkpoints.js';

const FLOAT32 = uniformRecipe('float32');
const MAX_ERROR = 1e-5;

function integers(rows: readonly (readonly number[])[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
}

/** SigLIP's answers to the golden inputs. */
async function siglip(compiled: CompiledCheckpoint, dir: string) {
  const expected = golden(dir);
  const pixels = new Tensor('float32', floats(expected.pixel_values), expected.pixel_shape as number[]);
  const images = (await compiled.run('vision', { pixel_values: pixels })).pooler_output?.data as Float32Array;
  const ids = integers(expected.input_ids as number[][]);
  const texts = (await compiled.run('text', { input_ids: ids })).pooler_output?.data as Float32Array;
  await compiled.close();
  return { images, texts, expected: { images: floats(expected.image_embeds), texts: floats(expected.text_embeds) } };
}

/** XLM-RoBERTa's first vectors, normalized. */
async function bert(compiled: CompiledCheckpoint, dir: string) {
  const expected = golden(dir);
  const ids = expected.input_ids as number[][];
  const outputs = await compiled.run('model', {
    input_ids: integers(ids),
    attention_mask: integers(expected.attention_mask as number[][]),
  });
  await compiled.close();
  const data = outputs.last_hidden_state?.data as Float32Array;
  const stride = data.length / ids.length;
  const width = expected.dims as number;
  const rows = ids.map((_, row) => {
    const vector = data.slice(row * stride, row * stride + width);
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
  const cls = floats(expected.cls);
  return { rows, expected: ids.map((_, row) => cls.slice(row * width, (row + 1) * width)) };
}

/** Whisper's encoder rows and logits. The decoder reads some tokens at once, the rest one by one with the cache. */
async function whisper(compiled: CompiledCheckpoint, dir: string) {
  const expected = golden(dir);
  const width = expected.d_model as number;
  const vocabulary = expected.vocab as number;
  const mel = new Int8Array(Buffer.from(String(expected.mel_i8), 'base64'));
  const all = Array.from({ length: 1500 }, (_, index) => index);
  const indices = new Tensor('int64', BigInt64Array.from(all, BigInt), [1500]);
  const encoded = await compiled.run('encoder', {
    [WHISPER_VALUES.features]: new Tensor(
      'float32',
      Float32Array.from(mel, (value) => value / 64),
      [1, 80, 3000],
    ),
    [WHISPER_VALUES.rows]: indices,
    [WHISPER_VALUES.positions]: indices,
    [WHISPER_VALUES.merged]: new Tensor('bool', [false], [1]),
    [WHISPER_VALUES.logCounts]: new Tensor('float32', [0], [1, 1, 1, 1]),
  });
  const states = encoded[WHISPER_VALUES.encoded] as Tensor;
  const cross = await compiled.run('cross', { [WHISPER_VALUES.states]: states });
  const crossCache = Object.fromEntries(
    Object.entries(cross).map(([name, value]) => [name.replace('present', 'past_key_values'), value]),
  );
  const tokens = expected.tokens as number[];
  const layers = [0, 1];
  let past = new Map<string, Tensor>();
  const logits: number[] = [];
  const decode = async (run: readonly number[], before: number): Promise<void> => {
    const mask = new Float32Array(run.length * (before + run.length));
    run.forEach((_, row) => {
      mask.fill(
        Number.NEGATIVE_INFINITY,
        row * (before + run.length) + before + row + 1,
        (row + 1) * (before + run.length),
      );
    });
    const cache = Object.fromEntries(
      layers.flatMap((layer) =>
        (['key', 'value'] as const).map((side) => {
          const name = pastName(layer, 'decoder', side);
          return [name, past.get(name) ?? new Tensor('float32', new Float32Array(0), [1, 4, 0, width / 4])];
        }),
      ),
    );
    const outputs = await compiled.run('decoder', {
      ...crossCache,
      ...cache,
      [WHISPER_VALUES.tokens]: integers([run]),
      [WHISPER_VALUES.pastLength]: new Tensor('int64', BigInt64Array.of(BigInt(before)), [1]),
      [WHISPER_VALUES.mask]: new Tensor('float32', mask, [1, 1, run.length, before + run.length]),
      [WHISPER_VALUES.encoderLogCounts]: new Tensor('float32', [0], [1, 1, 1, 1]),
      [WHISPER_VALUES.logitPositions]: new Tensor('int64', BigInt64Array.from(run.keys(), BigInt), [run.length]),
    });
    logits.push(...((outputs[WHISPER_VALUES.logits] as Tensor).data as Float32Array));
    past = new Map(
      layers.flatMap((layer) =>
        (['key', 'value'] as const).map((side) => {
          const name = pastName(layer, 'decoder', side);
          return [name, joined(cache[name] as Tensor, outputs[presentName(layer, 'decoder', side)] as Tensor)];
        }),
      ),
    );
  };
  await decode(tokens.slice(0, 5), 0);
  for (let at = 5; at < tokens.length; at++) await decode(tokens.slice(at, at + 1), at);
  await compiled.close();
  const rows = (expected.positions as number[]).map((row) =>
    (states.data as Float32Array).slice(row * width, (row + 1) * width),
  );
  const expectedRows = floats(expected.encoder);
  return {
    rows,
    logits,
    vocabulary,
    expected: {
      rows: rows.map((_, row) => expectedRows.slice(row * width, (row + 1) * width)),
      logits: floats(expected.logits),
    },
  };
}

/** Two caches [1, heads, tokens, size], one behind the other. */
function joined(before: Tensor, behind: Tensor): Tensor {
  const [, heads = 0, first = 0, size = 0] = before.dims;
  const second = behind.dims[2] ?? 0;
  const data = new Float32Array(heads * (first + second) * size);
  for (let head = 0; head < heads; head++) {
    const at = head * (first + second) * size;
    data.set((before.data as Float32Array).subarray(head * first * size, (head + 1) * first * size), at);
    data.set(
      (behind.data as Float32Array).subarray(head * second * size, (head + 1) * second * size),
      at + first * size,
    );
  }
  return new Tensor('float32', data, [1, heads, first + second, size]);
}

describe('compiled checkpoints', function () {
  needsCheckpoints(this);

  for (const [file, dir] of [
    ['siglip-tiny-fp32/model.safetensors', 'siglip-tiny-fp32'],
    ['siglip-tiny-fp16/model.safetensors', 'siglip-tiny-fp16'],
    ['siglip-tiny-bf16/model.safetensors', 'siglip-tiny-bf16'],
    ['siglip-tiny-sharded/model.safetensors.index.json', 'siglip-tiny-sharded'],
  ] as const) {
    it(`answers as PyTorch does in float32: ${file}`, async () => {
      const { images, texts, expected } = await siglip(await CompiledCheckpoint.open(file, FLOAT32), dir);
      expect(relativeError(images, expected.images)).to.be.below(MAX_ERROR);
      expect(relativeError(texts, expected.texts)).to.be.below(MAX_ERROR);
    });
  }

  for (const [file, dir] of [
    ['xlm-roberta-tiny-fp32/model.safetensors', 'xlm-roberta-tiny-fp32'],
    ['xlm-roberta-tiny-fp16/model.safetensors', 'xlm-roberta-tiny-fp16'],
    ['xlm-roberta-tiny-bin/pytorch_model.bin', 'xlm-roberta-tiny-bin'],
  ] as const) {
    it(`answers as PyTorch does in float32, texts of any length in one run: ${file}`, async () => {
      const { rows, expected } = await bert(await CompiledCheckpoint.open(file, FLOAT32), dir);
      rows.forEach((row, index) => {
        expect(relativeError(row, expected[index] ?? [])).to.be.below(MAX_ERROR);
      });
    });
  }

  for (const [file, dir] of [
    ['whisper-tiny-random-fp32/model.safetensors', 'whisper-tiny-random-fp32'],
    ['whisper-tiny-random-fp16/model.safetensors', 'whisper-tiny-random-fp16'],
    ['whisper-tiny-random-openai/whisper/tiny-random.pt', 'whisper-tiny-random-openai'],
    ['whisper-tiny-random-openai/whisper/tiny-random-legacy.pt', 'whisper-tiny-random-openai'],
  ] as const) {
    it(`answers as PyTorch does in float32, a prompt and then token by token: ${file}`, async () => {
      const { rows, logits, expected } = await whisper(await CompiledCheckpoint.open(file, FLOAT32), dir);
      rows.forEach((row, index) => {
        expect(relativeError(row, expected.rows[index] ?? [])).to.be.below(MAX_ERROR);
      });
      expect(relativeError(logits, expected.logits)).to.be.below(MAX_ERROR);
    });
  }

  /**
   * How near the answers to the golden inputs are to PyTorch's: the least cosine of a row, of a Whisper's scores the mean of all tokens,
   * as in the self-check. With random weights how far a single token is off is a matter of chance.
   */
  const nearness = {
    async siglip(compiled: CompiledCheckpoint, dir: string) {
      const { images, texts, expected } = await siglip(compiled, dir);
      const width = 96;
      return Math.min(minCosine(images, expected.images, width), minCosine(texts, expected.texts, width));
    },
    async bert(compiled: CompiledCheckpoint, dir: string) {
      const { rows, expected } = await bert(compiled, dir);
      return Math.min(...rows.map((row, index) => cosine(row, expected[index] ?? [])));
    },
    async whisper(compiled: CompiledCheckpoint, dir: string) {
      const { rows, logits, vocabulary, expected } = await whisper(compiled, dir);
      const encoded = rows.map((row, index) => cosine(row, expected.rows[index] ?? []));
      return Math.min(...encoded, mean(rowCosines(logits, expected.logits, vocabulary)));
    },
  };

  const FAMILIES = [
    // The mark is that of the family's first graph: its rounding is all that the following graphs receive. Random weights are harder to
    // round than trained ones.
    ['siglip', 'siglip-tiny-fp32', 'siglip-tiny-fp32/model.safetensors', 0.999],
    ['bert', 'xlm-roberta-tiny-fp32', 'xlm-roberta-tiny-bin/pytorch_model.bin', 0.999],
    ['whisper', 'whisper-tiny-random-openai', 'whisper-tiny-random-openai/whisper/tiny-random.pt', 0.993],
  ] as const;

  for (const [family, dir, file, mark] of FAMILIES) {
    for (const overflowSafe of [false, true]) {
      it(`keeps its marks in 8 bits: ${family}, ${overflowSafe ? 'for any CPU' : 'for CPUs with exact byte products'}`, async () => {
        const compiled = await CompiledCheckpoint.compile(file, 'int8', overflowSafe);
        for (const plan of architectureOf({ model_type: family === 'bert' ? 'xlm-roberta' : family }).graphs) {
          const { cosine: reported, recipe } = compiled.checked.get(plan.role) ?? {};
          // The finest form of all has nothing to be compared.
          if (recipe?.['attention input'] === 'float32') expect(reported).to.equal(undefined);
          else expect(reported, plan.role).to.be.within(plan.minCosine, 1.000001);
        }
        if (family === 'siglip' && overflowSafe) {
          // Its fastest form is below the threshold: the next finer one is used, and reported.
          const [vision] = architectureOf({ model_type: family }).graphs;
          expect(vision?.recipes.slice(1)).to.deep.include(compiled.checked.get('vision')?.recipe);
        }
        expect(await nearness[family](compiled, dir)).to.be.above(mark);
      });
    }

    it(`is all but float32 in half precision: ${family}`, async () => {
      const compiled = await CompiledCheckpoint.compile(file, 'fp16');
      for (const [role, { cosine: reported }] of compiled.checked)
        expect(reported, role).to.be.within(0.9999, 1.000001);
      expect(await nearness[family](compiled, dir)).to.be.above(0.9999);
    });
  }

  for (const overflowSafe of [false, true]) {
    it(`is nearly exact if weights and activations have 16 bits, ${overflowSafe ? 'for any CPU' : 'for CPUs with exact byte products'}`, async function () {
      // Elsewhere its sums overflow.
      if (!overflowSafe && !hasExactByteProducts()) return this.skip();
      const recipe = uniformRecipe('row3');
      for (const [family, dir, file] of FAMILIES.filter(([name]) => name !== 'whisper')) {
        const compiled = await CompiledCheckpoint.open(file, recipe, { overflowSafe });
        expect(await nearness[family](compiled, dir), family).to.be.above(0.9999);
      }
    });
  }

  for (const overflowSafe of [false, true]) {
    it(`keeps a sentence embedder's threshold with outlier inputs in float32, ${overflowSafe ? 'for any CPU' : 'for CPUs with exact byte products'}`, async () => {
      const file = 'xlm-roberta-tiny-fp32/model.safetensors';
      const compiled = await CompiledCheckpoint.open(file, uniformRecipe('rowf'), { overflowSafe });
      expect(await nearness.bert(compiled, 'xlm-roberta-tiny-fp32')).to.be.above(0.999);
    });
  }

  it('gives a text the same vector whatever its batch with outlier inputs in float32', async () => {
    const file = 'xlm-roberta-tiny-fp32/model.safetensors';
    const compiled = await CompiledCheckpoint.open(file, uniformRecipe('rowf'));
    const run = async (ids: readonly (readonly number[])[]) => {
      const attention_mask = integers(ids.map((row) => row.map(() => 1)));
      const { last_hidden_state } = await compiled.run('model', { input_ids: integers(ids), attention_mask });
      return last_hidden_state?.data as Float32Array;
    };
    const alone = await run([[0, 5, 9, 2]]);
    const together = await run([
      [0, 5, 9, 2],
      [0, 7, 7, 2],
      [0, 11, 3, 2],
    ]);
    await compiled.close();
    expect(relativeError(together.slice(0, alone.length), alone)).to.be.below(1e-6);
  });
});

function minCosine(values: ArrayLike<number>, expected: ArrayLike<number>, width: number): number {
  return Math.min(...rowCosines(values, expected, width));
}

function rowCosines(values: ArrayLike<number>, expected: ArrayLike<number>, width: number): number[] {
  const row = (all: ArrayLike<number>, at: number) => Array.prototype.slice.call(all, at, at + width) as number[];
  return Array.from({ length: expected.length / width }, (_, index) =>
    cosine(row(values, index * width), row(expected, index * width)),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
