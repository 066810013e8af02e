import { existsSync } from 'node:fs';
import { randomTensors, safetensorsFile, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { Unpickler } from '../../src/checkpoint/torch/unpickle.js';
import { compileCheckpoint, openCheckpoint, Weights } from '../../src/index.js';
import { refusal, temporaryDir } from '../support/dir.js';
import { BERT_CONFIG, bertTensors } from '../support/stand-ins.js';

/** A safetensors file of a header as it is given. */
function headed(header: string, data = Buffer.alloc(0)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

const entry = (offsets: string, { dtype = 'F32', shape = '[2]' } = {}) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const EIGHT = Buffer.alloc(8);
/** A header whose one shape is that many lists in each other. */
const nested = (depth: number) =>
  headed(`{"a":${entry('[0,8]', { shape: '['.repeat(depth) + ']'.repeat(depth) })}}`, EIGHT);

describe('a safetensors file made to mislead', () => {
  const dir = temporaryDir();
  const compile = (bytes: Buffer, precision: 'int8' | 'fp32') =>
    compileCheckpoint({
      checkpoint: dir.write('model.safetensors', bytes),
      config: BERT_CONFIG,
      dir: dir.fresh(),
      precision,
      overflowSafe: true,
    });

  for (const [what, bytes, named] of [
    ['names a tensor twice', headed(`{"a":${entry('[0,8]')},"a":${entry('[0,8]')}}`, EIGHT), 'twice'],
    ['gives offsets twice', headed(`{"a":${entry('[0,8],"data\\u005foffsets":[0,8]')}}`, EIGHT), 'twice'],
    ['has two tensors on the same bytes', headed(`{"a":${entry('[0,8]')},"b":${entry('[0,8]')}}`, EIGHT), 'tensor b'],
    ['has a hole', headed(`{"a":${entry('[4,12]')}}`, Buffer.alloc(12)), 'tensor a'],
    ['has offsets the wrong way round', headed(`{"a":${entry('[8,0]')}}`, EIGHT), 'tensor a'],
    ['has offsets below zero', headed(`{"a":${entry('[-8,0]')}}`, EIGHT), 'tensor a'],
    ['has offsets that are no whole numbers', headed(`{"a":${entry('[0.5,8.5]')}}`, EIGHT), 'tensor a'],
    ['has offsets of text', headed(`{"a":${entry('["0","8"]')}}`, EIGHT), 'tensor a'],
    ['has offsets beyond the end', headed(`{"a":${entry('[0,8]')}}`, Buffer.alloc(4)), 'tensor a'],
    ['gives a size of another type', headed(`{"a":${entry('[0,8]', { dtype: 'F16' })}}`, EIGHT), 'tensor a'],
    ['has a shape of absurd size', headed(`{"a":${entry('[0,8]', { shape: '[9e15,9e15]' })}}`, EIGHT), 'tensor a'],
    ['has a shape below zero', headed(`{"a":${entry('[0,8]', { shape: '[-1,-2]' })}}`, EIGHT), 'tensor a'],
    ['has a tensor that is null', headed('{"a":null}', EIGHT), 'JSON'],
    ['has a list for a header', headed('[]'), 'no JSON object'],
    ['is nested beyond reason', headed('['.repeat(1 << 20)), 'JSON'],
    ['nests a shape beyond reason', nested(1000), '100 lists'],
    ['has a header of 15 MiB', headed(' '.repeat(15 << 20)), 'at most 4194304'],
  ] as const) {
    it(`is refused if it ${what}`, async () => {
      const error = await refusal(() => openCheckpoint(dir.write('m.safetensors', bytes)));
      expect(error.code).to.equal('CHECKPOINT_INVALID');
      expect(error.message).to.include(named).and.have.length.below(500);
    });
  }

  it('is called a pointer of Git LFS if it is one, as is a file of torch', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 1234567\n`;
    for (const name of ['m.safetensors', 'm.bin']) {
      const error = await refusal(() => openCheckpoint(dir.write(name, Buffer.from(pointer))));
      expect(error.code).to.equal('CHECKPOINT_INVALID');
      expect(error.message).to.include(`Expected ${name} to be weights, got a pointer of Git LFS`);
    }
  });

  it('may have metadata of any names', () => {
    const header = `{"__metadata__":{"data_offsets":"a:b"},"a":${entry('[0,8]')}}`;
    expect(openCheckpoint(dir.write('m.safetensors', headed(header, EIGHT))).tensors.size).to.equal(1);
  });

  for (const [dtype, bytes, found] of [
    ['BF16', [0xc0, 0x7f], 'NaN'],
    ['BF16', [0x80, 0xff], '-Infinity'],
    ['F16', [0x01, 0x7c], 'NaN'],
    ['F16', [0x00, 0x7c], 'Infinity'],
    ['F32', [0, 0, 0xc0, 0x7f], 'NaN'],
    ['F64', [0, 0, 0, 0, 0, 0, 0xe0, 0x7f], 'Infinity'],
  ] as const) {
    it(`is refused if it contains ${found} in ${dtype}, by the tensor and the element`, async () => {
      const data = Buffer.from([...new Array<number>(bytes.length).fill(0), ...bytes]);
      const header = `{"a":${entry(`[0,${data.length}]`, { dtype })}}`;
      const weights = new Weights(openCheckpoint(dir.write('nan.safetensors', headed(header, data))));
      const error = await refusal(() => weights.take('a', [2]));
      weights.close();
      expect(error.code).to.equal('TENSOR_NOT_FINITE');
      expect(error.message).to.include(`${found} in tensor a at element 1`);
    });
  }

  it('is refused if finite weights produce results that are not finite', async () => {
    const large = bertTensors().map((tensor) => ({ ...tensor, values: tensor.values.map((value) => value * 1e30) }));
    const error = await refusal(() => compile(safetensorsFile(large), 'int8'));
    expect(error.code).to.equal('TENSOR_NOT_FINITE');
    expect(error.message).to.include('the model graph');
  });

  it('with an endless name is reported in a short message', async () => {
    const extra = { name: 'x'.repeat(1 << 20), shape: [2], values: new Float32Array(2) };
    const error = await refusal(() => compile(safetensorsFile([...bertTensors(), extra]), 'fp32'));
    expect(error.code).to.equal('TENSOR_UNEXPECTED');
    expect(error.message).to.have.length.below(500);
  });
});

describe('a config.json made to mislead', () => {
  const dir = temporaryDir();

  const refused: readonly (readonly [config: object, named: string, code?: string])[] = [
    [{ hidden_size: 1e9 }, 'hidden_size'],
    [{ num_hidden_layers: 1e15 }, 'num_hidden_layers'],
    [{ num_hidden_layers: -1 }, 'num_hidden_layers'],
    [{ intermediate_size: '32' }, 'intermediate_size'],
    [{ vocab_size: 1.5 }, 'vocab_size'],
    [{ vocab_size: 1 << 22 }, 'word_embeddings', 'TENSOR_SHAPE'],
    [{ intermediate_size: 1 << 22 }, 'intermediate.dense.weight', 'TENSOR_SHAPE'],
    [{ num_attention_heads: 3 }, '3 heads'],
    [{ layer_norm_eps: -1 }, 'layer_norm_eps'],
    [{ layer_norm_eps: 1e30 }, 'layer_norm_eps'],
    [{ layer_norm_eps: 'small' }, 'layer_norm_eps'],
    [{ hidden_size: 'x'.repeat(1 << 20) }, 'hidden_size'],
    [{ model_type: 'x'.repeat(1 << 20) }, 'model_type'],
    [{ model_type: 'deberta-v2' }, 'whisper, siglip, bert, xlm-roberta'],
    [{ model_type: '__proto__' }, 'model_type'],
    [{ model_type: 'xlm-roberta', pad_token_id: -5 }, 'pad_token_id'],
    [{ hidden_act: 'x'.repeat(1 << 20) }, 'activation'],
    [{ hidden_act: 'constructor' }, 'activation'],
  ];
  for (const [config, named, code = 'CONFIG_UNSUPPORTED'] of refused) {
    it(`is refused by the value's name: ${JSON.stringify(config).slice(0, 60)}`, async () => {
      const checkpoint = dir.write('model.safetensors', safetensorsFile(bertTensors()));
      const before = process.memoryUsage().rss;
      const error = await refusal(() =>
        compileCheckpoint({
          checkpoint,
          config: { ...BERT_CONFIG, ...config },
          dir: dir.fresh(),
          precision: 'int8',
          overflowSafe: true,
        }),
      );
      expect(error.code).to.equal(code);
      expect(error.message).to.include(named).and.have.length.below(500);
      expect(process.memoryUsage().rss - before).to.be.below(64 << 20);
    });
  }
});

const TENSORS = [{ name: 'a', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }];
const unpickle = (opcodes: Buffer | string) => new Unpickler(Buffer.from(opcodes as string, 'latin1')).read();
/** A storage's persistent id but for its end. */
const STORAGE = '(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06';

describe('a pickle made to mislead', () => {
  const dir = temporaryDir();

  for (const [what, opcodes] of [
    ['keeps more than a model has', `\x80\x04N${'\x94'.repeat(15 << 20)}.`],
    ['marks more than a model has', `${'('.repeat(15 << 20)}.`],
    ['nests lists without end', `${']'.repeat(1 << 20)}${'a'.repeat((1 << 20) - 1)}.`],
    ['calls without end', `ccollections\nOrderedDict\nq\0${'h\0)R0'.repeat(1 << 20)}.`],
  ] as const) {
    it(`is refused if it ${what}, quickly and with little memory`, async () => {
      const bytes = Buffer.from(opcodes, 'latin1');
      const before = process.memoryUsage().rss;
      const error = await refusal(() => new Unpickler(bytes).read());
      expect(error.code).to.equal('CHECKPOINT_REFUSED');
      expect(process.memoryUsage().rss - before).to.be.below(300 << 20);
    });
  }

  it('is refused if many tensors share one shape of a million numbers', async () => {
    const numbers = `(${'K\x01'.repeat(1_000_000)}tq\x01`;
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}tQK\0h\x01h\x01tR`;
    expect((await refusal(() => unpickle(`(${numbers}${tensor.repeat(60_000)}t.`))).code).to.equal(
      'CHECKPOINT_INVALID',
    );
  });

  it('is refused if a tensor begins between two numbers', async () => {
    const half = 'G\x3f\xe0\0\0\0\0\0\0';
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}tQ${half}K\x02\x85K\x01\x85tR.`;
    expect((await refusal(() => unpickle(tensor))).code).to.equal('CHECKPOINT_INVALID');
  });

  it('is refused if a storage is a view of another, which is obsolete', async () => {
    const view = '(X\x01\0\0\x001K\x01K\x02t';
    const error = await refusal(() => unpickle(`${STORAGE}${view}tQ.`));
    expect(error.message).to.include('view');
    expect(unpickle(`${STORAGE}NtQ.`)).to.include({ kind: 'storage', key: '0' });
  });

  it('reads the largest number that it may hold, and no larger one', async () => {
    const largest = unpickle(Buffer.concat([Buffer.from([0x8a, 255]), Buffer.alloc(255, 0x7f), Buffer.from('.')]));
    expect(typeof largest).to.equal('bigint');
    const long4 = Buffer.concat([Buffer.from([0x8b, 0xff, 0xff, 0xff, 0x7f]), Buffer.from('.')]);
    expect((await refusal(() => new Unpickler(long4).read())).code).to.equal('CHECKPOINT_REFUSED');
  });

  it('is refused at once if what changes a tensor is lists that double in each other', async () => {
    const memo = String.fromCharCode;
    const pairs = Array.from({ length: 24 }, (_, at) => `](h${memo(at)}h${memo(at)}eq${memo(at + 1)}`);
    const lists = `]q\0${pairs.join('')}`;
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}tQK\0K\x02\x85K\x01\x85\x89N}h\x18\x88stR.`;
    const error = await refusal(() => unpickle(`${lists}${tensor}`));
    expect(error.code).to.equal('CHECKPOINT_REFUSED');
    expect(error.message).to.include('when it is read').and.not.include(',,');
  });

  it('runs no code, however a function is named', async () => {
    for (const opcodes of ['cos\nsystem\n(X\x0a\0\0\0touch ran-xtR.', '(X\x0a\0\0\0touch ran-xios\nsystem\n.']) {
      expect((await refusal(() => unpickle(opcodes))).code).to.equal('CHECKPOINT_REFUSED');
    }
    expect(existsSync('ran-x')).to.equal(false);
  });

  for (const [what, offset] of [
    ['ends beyond its storage', 1],
    ['begins before its storage', -1],
  ] as const) {
    it(`is refused if a tensor ${what}`, async () => {
      const zip = torchFile(TENSORS);
      // The tensor's offset in its storage: J, four bytes, then the mark of its shape.
      zip.writeInt32LE(offset, zip.indexOf(Buffer.from('QJ\0\0\0\0(', 'latin1')) + 2);
      const error = await refusal(() => openCheckpoint(dir.write('view.pt', zip)));
      expect(error.code).to.equal('CHECKPOINT_INVALID');
      expect(error.message).to.include('tensor a');
    });
  }

  it('is refused if its zip contains a name twice', async () => {
    const zip = torchFile([...TENSORS, ...randomTensors({ b: [2, 2] })]);
    const start = zip.readUInt32LE(zip.length - 22 + 16);
    const second = zip.indexOf('archive/data/1', start);
    zip.write('archive/data/0', second);
    const error = await refusal(() => openCheckpoint(dir.write('twice.pt', zip)));
    expect(error.code).to.equal('CHECKPOINT_INVALID');
    expect(error.message).to.include('archive/data/0 twice');
  });

  it('is refused if an entry of its zip is encrypted', async () => {
    const zip = torchFile(TENSORS);
    zip.writeUInt16LE(1, zip.readUInt32LE(zip.length - 22 + 16) + 8);
    expect((await refusal(() => openCheckpoint(dir.write('secret.pt', zip)))).code).to.equal('CHECKPOINT_UNSUPPORTED');
  });
});
