import { type NamedTensor, randomTensors, safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import type { Precision } from '../src/index.js';
import { relativeError } from './support/checkpoints.js';
import { refusal, temporaryDir } from './support/dir.js';
import { answersOf, BERT_CONFIG, BERT_SIZE, bertTensors } from './support/stand-ins.js';

const WIDTH = BERT_SIZE.width;
const OUTPUTS = 8;
/** Two texts, the second one shorter. */
const LENGTHS = [4, 2];
const LENGTH = 4;
const IDS = [
  [2, 7, 9, 3],
  [2, 3, 0, 0],
];
const MASK = LENGTHS.map((length) => Array.from({ length: LENGTH }, (_, at) => Number(at < length)));

describe('a layer behind the pooling of a sentence embedder', () => {
  const dir = temporaryDir();

  function denseTensors(inputs: number): readonly NamedTensor[] {
    return randomTensors({ 'linear.weight': [OUTPUTS, inputs], 'linear.bias': [OUTPUTS] }, 9);
  }

  async function compiled(
    pooling: readonly string[],
    more: { readonly [key: string]: unknown; readonly bias?: boolean } = {},
    precision: Precision = 'fp32',
  ) {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(bertTensors()));
    const inputs = WIDTH * pooling.length;
    const tensors = denseTensors(inputs);
    const { bias: hasBias = true } = more;
    const dense = {
      checkpoint: dir.write('dense.safetensors', safetensorsFile(hasBias ? tensors : tensors.slice(0, 1))),
      config: { in_features: inputs, out_features: OUTPUTS, bias: true, ...more },
      pooling,
    };
    const options = { checkpoint, config: BERT_CONFIG, dense, dir: dir.fresh(), precision };
    const { last_hidden_state, sentence_embedding } = await answersOf(options, IDS, MASK);
    const [weight, bias] = tensors.map(({ values }) => values);
    return {
      tokens: last_hidden_state as Float32Array,
      vectors: sentence_embedding as Float32Array,
      weight: weight as Float32Array,
      bias: bias as Float32Array,
    };
  }

  const POOLERS: Readonly<Record<string, (rows: readonly Float32Array[]) => number[]>> = {
    cls: ([first]) => [...(first ?? [])],
    mean: (rows) =>
      Array.from({ length: WIDTH }, (_, at) => rows.reduce((sum, row) => sum + (row[at] ?? 0), 0) / rows.length),
    max: (rows) => Array.from({ length: WIDTH }, (_, at) => Math.max(...rows.map((row) => row[at] ?? 0))),
  };

  function expected(
    { tokens, weight, bias }: Awaited<ReturnType<typeof compiled>>,
    pooling: readonly string[],
    tanh: boolean,
  ) {
    return LENGTHS.flatMap((length, text) => {
      const rows = Array.from({ length }, (_, at) =>
        tokens.subarray((text * LENGTH + at) * WIDTH, (text * LENGTH + at + 1) * WIDTH),
      );
      const pooled = pooling.flatMap((mode) => POOLERS[mode]?.(rows) ?? []);
      return Array.from(bias, (start, output) => {
        const sum = pooled.reduce((all, value, at) => all + value * (weight[output * pooled.length + at] ?? 0), start);
        return tanh ? Math.tanh(sum) : sum;
      });
    });
  }

  for (const pooling of [['mean'], ['cls'], ['max'], ['cls', 'mean']]) {
    it(`is computed of the text's own tokens, with tanh: ${pooling.join(' and ')}`, async () => {
      const made = await compiled(pooling);
      expect(relativeError(made.vectors, expected(made, pooling, true))).to.be.below(1e-5);
    });
  }

  for (const precision of ['int8', 'fp16'] as const) {
    it(`is in float32 in a graph of fewer bits too: ${precision}`, async () => {
      const made = await compiled(['mean'], {}, precision);
      expect(relativeError(made.vectors, expected(made, ['mean'], true))).to.be.below(1e-5);
    });
  }

  it('gives a text the same vector whatever its batch, to the last bit', async () => {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(bertTensors()));
    const dense = {
      checkpoint: dir.write('dense.safetensors', safetensorsFile(denseTensors(WIDTH))),
      config: { in_features: WIDTH, out_features: OUTPUTS },
      pooling: ['mean'],
    };
    const vectors = async (ids: readonly (readonly number[])[], mask: readonly (readonly number[])[]) => {
      const options = { checkpoint, config: BERT_CONFIG, dense, dir: dir.fresh() };
      const { sentence_embedding: values } = await answersOf(options, ids, mask);
      return [...(values as Float32Array)];
    };
    const text = [2, 7, 9, 30, 11, 25, 3];
    const padded = [...text, 0, 0, 0, 0, 0];
    const mask = padded.map((_, at) => Number(at < text.length));
    const alone = await vectors([text], [text.map(() => 1)]);
    for (const batch of [1, 2, 9]) {
      const others = Array.from({ length: batch }, (_, other) => padded.map((id) => (id + 3 * other) % 40));
      expect(
        (await vectors(others, [mask, ...others.slice(1).map((row) => row.map(() => 1))])).slice(0, OUTPUTS),
      ).to.deep.equal(alone);
    }
  });

  it('may have no bias', async () => {
    const made = await compiled(['mean'], { bias: false });
    const bias = new Float32Array(OUTPUTS);
    expect(relativeError(made.vectors, expected({ ...made, bias }, ['mean'], true))).to.be.below(1e-5);
  });

  for (const [name, tanh] of [
    ['torch.nn.modules.linear.Identity', false],
    ['torch.nn.Identity', false],
    ['torch.nn.Tanh', true],
  ] as const) {
    it(`may have the activation ${name}`, async () => {
      const made = await compiled(['cls'], { activation_function: name });
      expect(relativeError(made.vectors, expected(made, ['cls'], tanh))).to.be.below(1e-5);
    });
  }

  for (const [what, pooling, more, named] of [
    [
      'another activation',
      ['cls'],
      { activation_function: 'torch.nn.modules.activation.GELU' },
      '.Tanh or torch.nn.modules.linear.Identity',
    ],
    ['another number of inputs', ['cls'], { in_features: 7 }, 'in_features'],
    ['a sum with its own input', ['cls'], { use_residual: true }, 'use_residual'],
    ['another input', ['cls'], { module_input_name: 'token_embeddings' }, 'module_input_name'],
    ['another output', ['cls'], { module_output_name: 'projected' }, 'module_output_name'],
    ['a pooling that is not built', ['lasttoken'], {}, 'pooling'],
  ] as const) {
    it(`is refused by name: ${what}`, async () => {
      const error = await refusal(() => compiled(pooling, more));
      expect(error.code).to.equal('CONFIG_UNSUPPORTED');
      expect(error.message).to.include(named);
    });
  }
});
