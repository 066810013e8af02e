import { type NamedTensor, randomTensors, safetensorsFile, shardedSafetensors, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { compileCheckpoint, openCheckpoint, Weights } from '../../src/index.js';
import { refusal, temporaryDir } from '../support/dir.js';
import { BERT_CONFIG, bertTensors } from '../support/stand-ins.js';

const DENSE = 'encoder.layer.0.intermediate.dense.weight';

describe('the tensors of a checkpoint', () => {
  const dir = temporaryDir();
  const steps: string[] = [];
  beforeEach(() => steps.splice(0));
  const compile = (tensors: readonly NamedTensor[], more: object = {}) =>
    compileCheckpoint({
      checkpoint: dir.write('model.safetensors', safetensorsFile(tensors)),
      config: { ...BERT_CONFIG, ...more },
      dir: dir.fresh(),
      precision: 'fp32',
      overflowSafe: true,
      onStep: ({ phase }) => void steps.push(phase),
    });
  const changed = (change: (tensor: NamedTensor) => NamedTensor | undefined) =>
    bertTensors().flatMap((tensor) => (tensor.name === DENSE ? (change(tensor) ?? []) : [tensor]));

  it('are all used, or expected not to be', async () => {
    expect((await compile(bertTensors())).modelType).to.equal('bert');
  });

  for (const [what, code, tensors] of [
    ['missing', 'TENSOR_MISSING', () => changed(() => undefined)],
    ['misshapen', 'TENSOR_SHAPE', () => changed(({ name, values }) => ({ name, values, shape: [16, 32] }))],
    [
      'not finite',
      'TENSOR_NOT_FINITE',
      () => changed((tensor) => ({ ...tensor, values: tensor.values.fill(Number.NaN, 3, 4) })),
    ],
    [
      'infinite',
      'TENSOR_NOT_FINITE',
      () => changed((tensor) => ({ ...tensor, values: tensor.values.fill(Number.POSITIVE_INFINITY, 511) })),
    ],
  ] as const) {
    it(`are named if one is ${what}`, async () => {
      const error = await refusal(() => compile(tensors()));
      expect(error.code).to.equal(code);
      expect(error.message).to.include(DENSE);
      // Values are read where they are needed; names and shapes before a compile that may take minutes.
      expect(steps).to.deep.equal(code === 'TENSOR_NOT_FINITE' ? ['build'] : []);
    });
  }

  it('are named if one has integers, as bitsandbytes stores weights', async () => {
    const bytes = safetensorsFile(bertTensors());
    const header = `"${DENSE}":{"dtype":"`;
    bytes.write('I32', bytes.indexOf(header) + header.length);
    const checkpoint = dir.write('integers.safetensors', bytes);
    const options = {
      checkpoint,
      config: BERT_CONFIG,
      dir: dir.fresh(),
      precision: 'fp32',
      overflowSafe: true,
    } as const;
    const error = await refusal(() => compileCheckpoint(options));
    expect(error.code).to.equal('CHECKPOINT_UNSUPPORTED');
    expect(error.message).to.include(DENSE).and.include('I32').and.include('quantized');
  });

  it('are named if one is not part of the architecture', async () => {
    const extra = { name: 'encoder.layer.0.adapter.weight', shape: [2], values: new Float32Array(2) };
    const error = await refusal(() => compile([...bertTensors(), extra]));
    expect(error.code).to.equal('TENSOR_UNEXPECTED');
    expect(error.message).to.include(extra.name);
    expect(steps).to.deep.equal([]);
  });

  it('are named if config.json has fewer layers', async () => {
    const two = randomTensors({ ...shapesOf(bertTensors()), ...layerTwo() });
    const error = await refusal(() => compile(two));
    expect(error.code).to.equal('TENSOR_UNEXPECTED');
    expect(error.message).to.include('encoder.layer.1.');
  });

  it('have the same values in every form of file', () => {
    const tensors = bertTensors();
    for (const path of [
      dir.write('same.safetensors', safetensorsFile(tensors)),
      dir.write('same.bin', torchFile(tensors)),
      dir.write('same.pt', torchFile(tensors, { n_mels: 80 })),
    ]) {
      const weights = new Weights(openCheckpoint(path));
      for (const { name, shape, values } of tensors) expect(weights.take(name, shape)).to.deep.equal(values);
      weights.close();
    }
  });

  it('may be stored column by column, as a transposed matrix is by torch', () => {
    const [values, shape] = [Float32Array.from({ length: 12 }, (_, index) => index), [3, 4]];
    const columns = Float32Array.from(values, (_, index) => (index % 3) * 4 + Math.floor(index / 3));
    const path = dir.write('columns.bin', torchFile([{ name: 'matrix', shape, values: columns, strides: [1, 3] }]));
    const weights = new Weights(openCheckpoint(path));
    expect(weights.take('matrix', shape)).to.deep.equal(values);
    expect(weights.takeRows('matrix', shape, 1, 2)).to.deep.equal(values.slice(4));
    weights.close();
  });

  it('that are stored in another order are an error that leads to a file without', async () => {
    for (const [strides, values] of [
      [[1, 2, 4], new Float32Array(8)],
      // Expanded.
      [[0, 2, 1], new Float32Array(4)],
    ] as const) {
      const path = dir.write('strange.bin', torchFile([{ name: 'cube', shape: [2, 2, 2], values, strides }]));
      expect((await refusal(() => openCheckpoint(path))).message)
        .to.include(`strides [${strides.join(', ')}]. Save `)
        .and.include('as safetensors');
    }
  });

  for (const [what, tensors] of [
    ['missing', () => changed(() => undefined)],
    ['misshapen', () => changed(({ name, values }) => ({ name, values, shape: [16, 32] }))],
  ] as const) {
    it(`lead to a config.json of their own if one is ${what}`, async () => {
      const error = await refusal(() => compile(tensors()));
      expect(error.message).to.match(/config\.json belongs to another model.* save_pretrained of transformers\.$/);
    });
  }

  for (const prefix of ['module.', '_orig_mod.', '0.auto_model.', '0.model.', 'module._orig_mod.bert.']) {
    it(`are found behind the prefix of a wrapper: ${prefix}`, async () => {
      const wrapped = bertTensors().map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
      expect((await compile(wrapped)).modelType).to.equal('bert');
    });
  }

  it('are named if two have one name behind their prefixes', async () => {
    const [tensor] = bertTensors();
    const error = await refusal(() =>
      compile([...bertTensors(), { ...tensor, name: `module.${tensor?.name}` } as NamedTensor]),
    );
    expect(error.code).to.equal('TENSOR_UNEXPECTED');
    expect(error.message).to.include(`got a second one, module.${tensor?.name}`);
  });

  it('are named with another prefix, and what leads to a file without', async () => {
    const wrapped = bertTensors().map((tensor) => ({ ...tensor, name: `base_model.model.${tensor.name}` }));
    const error = await refusal(() => compile(wrapped));
    expect(error.code).to.equal('TENSOR_MISSING');
    expect(error.message).to.match(/got base_model\.model\.embeddings\.word_embeddings\.weight.*merge_and_unload/);
  });

  it('are found over shards; a shard that is not there is named', async () => {
    const files = shardedSafetensors(bertTensors(), 3);
    for (const file of files) if ('bytes' in file) dir.write(file.path, file.bytes);
    const index = dir.write('model.safetensors.index.json', (files.at(-1) as { bytes: string }).bytes);
    expect(openCheckpoint(index).tensors.size).to.equal(bertTensors().length);
    const gone = dir.write(
      'gone.safetensors.index.json',
      JSON.stringify({ weight_map: { a: 'model-00009-of-00009.safetensors' } }),
    );
    const error = await refusal(() => openCheckpoint(gone));
    expect(error.code).to.equal('CHECKPOINT_INVALID');
    expect(error.message).to.include('model-00009-of-00009.safetensors');
  });

  for (const [what, index] of [
    ['leads out of its directory', { weight_map: { a: '../../etc/passwd' } }],
    ['leads anywhere by a full path', { weight_map: { a: '/etc/passwd' } }],
    ['leads out by a directory', { weight_map: { a: 'sub/model.safetensors' } }],
    ['names no files', { weight_map: { a: 1 } }],
    ['has no map', { metadata: {} }],
    ['is null', null],
  ] as const) {
    it(`refuse an index that ${what}`, async () => {
      const path = dir.write('wrong.safetensors.index.json', JSON.stringify(index));
      expect((await refusal(() => openCheckpoint(path))).code).to.equal('CHECKPOINT_INVALID');
    });
  }

  it('refuse an index that is no JSON, and one of any size', async () => {
    const path = dir.write('text.safetensors.index.json', 'no');
    expect((await refusal(() => openCheckpoint(path))).message).to.include('JSON');
    const nested = dir.write('nested.safetensors.index.json', '['.repeat(1000) + ']'.repeat(1000));
    expect((await refusal(() => openCheckpoint(nested))).message).to.include('100 lists');
    const large = dir.write('large.safetensors.index.json', Buffer.alloc(17 << 20, ' '));
    expect((await refusal(() => openCheckpoint(large))).message).to.include('bytes');
  });

  it('are named if the index and a shard disagree', async () => {
    const files = shardedSafetensors(bertTensors(), 3);
    for (const file of files) if ('bytes' in file) dir.write(file.path, file.bytes);
    const map = JSON.parse((files.at(-1) as { bytes: string }).bytes).weight_map as Record<string, string>;
    const { [DENSE]: _, ...fewer } = map;
    const one = dir.write('fewer.safetensors.index.json', JSON.stringify({ weight_map: fewer }));
    expect((await refusal(() => openCheckpoint(one))).message)
      .to.include(DENSE)
      .and.include('Download the model again');
    const more = dir.write(
      'more.safetensors.index.json',
      JSON.stringify({ weight_map: { ...map, other: map[DENSE] } }),
    );
    const missing = await refusal(() => openCheckpoint(more));
    expect(missing.code).to.equal('TENSOR_MISSING');
    expect(missing.message).to.include('Download the model again');
  });
});

function shapesOf(tensors: readonly NamedTensor[]): Record<string, readonly number[]> {
  return Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
}

function layerTwo(): Record<string, readonly number[]> {
  const first = Object.entries(shapesOf(bertTensors())).filter(([name]) => name.startsWith('encoder.layer.0.'));
  return Object.fromEntries(first.map(([name, shape]) => [name.replace('layer.0', 'layer.1'), shape]));
}
