import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesField, concatBytes, varintField } from '@heimdex/onnx';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { openSession } from '../../src/models/session/open-session.js';
import { openTransformedSession } from '../../src/models/session/transformed-session.js';

const FLOAT = 1;
const THREE = new Float32Array([1, 2, 3]);
const BYTES = new Uint8Array(THREE.buffer);

/** A tensor of floats whose data lies elsewhere. */
function external(name: string, entries: Readonly<Record<string, string>>): Uint8Array {
  return concatBytes([
    varintField(1, THREE.length),
    varintField(2, FLOAT),
    bytesField(8, name),
    ...Object.entries(entries).map(([key, value]) =>
      bytesField(13, concatBytes([bytesField(1, key), bytesField(2, value)])),
    ),
    varintField(14, 1),
  ]);
}

function value(name: string): Uint8Array {
  const shape = bytesField(2, bytesField(1, varintField(1, 3)));
  return concatBytes([bytesField(1, name), bytesField(2, bytesField(1, concatBytes([varintField(1, FLOAT), shape])))]);
}

function node(opType: string, inputs: readonly string[], output: string, attributes: readonly Uint8Array[] = []) {
  return concatBytes([
    ...inputs.map((input) => bytesField(1, input)),
    bytesField(2, output),
    bytesField(4, opType),
    ...attributes.map((attribute) => bytesField(5, attribute)),
  ]);
}

const attribute = (name: string, field: number, payload: Uint8Array, type: number) =>
  concatBytes([bytesField(1, name), bytesField(field, payload), varintField(20, type)]);

interface Parts {
  readonly nodes?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
  readonly graph?: readonly Uint8Array[];
  readonly model?: readonly Uint8Array[];
}

/** x + w, three floats each. */
function model({ nodes = [node('Add', ['x', 'w'], 'y')], initializers = [], graph = [], model: more = [] }: Parts) {
  return concatBytes([
    varintField(1, 8),
    bytesField(
      7,
      concatBytes([
        ...nodes.map((one) => bytesField(1, one)),
        bytesField(2, 'g'),
        ...initializers.map((one) => bytesField(5, one)),
        bytesField(11, value('x')),
        bytesField(12, value('y')),
        ...graph,
      ]),
    ),
    bytesField(8, concatBytes([bytesField(1, ''), varintField(2, 17)])),
    ...more,
  ]);
}

const OPTIONS = { device: 'cpu', threads: 1 } as const;

describe('external weights', () => {
  let dir: string;
  let graph: string;
  let data: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-external-'));
    await mkdir(join(dir, 'snapshot'));
    graph = join(dir, 'snapshot', 'model.onnx');
    data = join(dir, 'snapshot', 'model.onnx_data');
    await writeFile(join(dir, 'secret'), BYTES);
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function opened(externalFiles: readonly string[] = [data]): Promise<readonly number[]> {
    const session = await openSession(graph, { ...OPTIONS, externalFiles });
    try {
      const { y } = await session.run({ x: new Tensor('float32', new Float32Array(3), [3]) });
      expect(y).to.be.instanceOf(Tensor);
      return Array.from((y as Tensor).data as Float32Array);
    } finally {
      await session.release();
    }
  }

  async function refusal(externalFiles?: readonly string[]): Promise<string> {
    try {
      return `got ${(await opened(externalFiles)).join()}`;
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('are read from a file of the model, next to the graph or through a link of the cache', async () => {
    await writeFile(graph, model({ initializers: [external('w', { location: 'model.onnx_data', length: '12' })] }));
    await writeFile(data, BYTES);
    expect(await opened()).to.deep.equal([1, 2, 3]);
    await rm(data);
    await symlink('../secret', data);
    expect(await opened()).to.deep.equal([1, 2, 3]);
  });

  it('are read from no file that is not among the files of the model', async () => {
    await writeFile(graph, model({ initializers: [external('w', { location: 'model.onnx_data', length: '12' })] }));
    await writeFile(data, BYTES);
    expect(await refusal([]))
      .to.include('model.onnx_data')
      .and.include('MODELS_MANIFEST');
  });

  const locations: [string, string][] = [
    ['an absolute path', '/etc/hostname'],
    ['a path of the kernel', '/proc/self/environ'],
    ['a way out of the directory', '../secret'],
    ['a way out through a directory', 'a/../../secret'],
    ['a backslash', '..\\secret'],
    ['a name with a NUL', 'model.onnx_data\0x'],
    ['a dot before an allowed name', './model.onnx_data'],
    ['an empty name', ''],
    ['the mark of an address in memory', '*/_ORT_MEM_ADDR_/*'],
    ['an address', 'file:///etc/hostname'],
    ['a mark of byte order before an allowed name', '\ufeffmodel.onnx_data'],
    ['another file of the directory', 'config.json'],
  ];
  for (const [what, location] of locations) {
    it(`are refused at ${what}`, async () => {
      await writeFile(data, BYTES);
      await writeFile(join(dir, 'snapshot', 'config.json'), BYTES);
      await writeFile(graph, model({ initializers: [external('w', { location, length: '12' })] }));
      expect(await refusal()).to.include('refused');
    });
  }

  const secret = external('w', { location: '../secret', length: '12' });
  const inBranch = concatBytes([
    bytesField(1, node('Identity', ['w'], 'b')),
    bytesField(2, 'branch'),
    bytesField(5, secret),
    bytesField(12, value('b')),
  ]);
  const sparse = concatBytes([bytesField(1, secret), bytesField(2, secret), varintField(3, 3)]);
  const inConstant = node('Constant', [], 'w', [attribute('value', 5, secret, 4)]);
  const add = node('Add', ['x', 'w'], 'y');
  const positions: [string, Parts][] = [
    ['an initializer', { initializers: [secret] }],
    ['a Constant', { nodes: [inConstant, add] }],
    ['a sparse Constant', { nodes: [node('Constant', [], 'w', [attribute('sparse_value', 22, sparse, 11)]), add] }],
    ['a list of tensors', { nodes: [node('Add', ['x', 'x'], 'y', [attribute('more', 10, secret, 9)])] }],
    ['a list of sparse tensors', { nodes: [node('Add', ['x', 'x'], 'y', [attribute('more', 23, sparse, 12)])] }],
    ['a branch', { nodes: [node('If', ['x'], 'y', [attribute('then_branch', 6, inBranch, 5)])] }],
    ['a list of graphs', { nodes: [node('Add', ['x', 'x'], 'y', [attribute('more', 11, inBranch, 10)])] }],
    ['a sparse initializer', { graph: [bytesField(15, sparse)] }],
    ['a function', { model: [bytesField(25, concatBytes([bytesField(1, 'f'), bytesField(7, inConstant)]))] }],
    ['a default of a function', { model: [bytesField(25, bytesField(11, attribute('value', 5, secret, 4)))] }],
    ['a training graph', { model: [bytesField(20, bytesField(2, inBranch))] }],
    ['a second graph', { model: [bytesField(7, inBranch)] }],
  ];
  for (const [what, parts] of positions) {
    it(`are refused outside of the directory, named by ${what}`, async () => {
      await writeFile(graph, model(parts));
      expect(await refusal()).to.match(/refused: it has a part|Expected one field/);
      const transformed = openTransformedSession(graph, OPTIONS, () => true);
      expect(await transformed.then(() => 'opened', String)).to.match(/refused: it has a part|Expected one field/);
    });
  }

  it('are refused behind a field number of which the runtime sees 32 bits', async () => {
    await writeFile(join(dir, 'snapshot', 'config.json'), BYTES);
    const entry = concatBytes([bytesField(1, 'location'), bytesField(2, 'config.json')]);
    const externalData = Uint8Array.of(0xea, 0x80, 0x80, 0x80, 0x10, entry.length);
    const tensor = concatBytes([external('w', {}), externalData, entry]);
    await writeFile(graph, model({ initializers: [tensor] }));
    expect(await refusal()).to.include('got 536870925');
  });

  const ranges: [string, readonly Readonly<Record<string, string>>[]][] = [
    ['more bytes than the file has', [{ length: '1000000000000' }]],
    ['bytes behind the end', [{ offset: '12', length: '12' }]],
    ['an offset behind the end', [{ offset: '1000000' }]],
    ['a length below nothing', [{ length: '-12' }]],
    ['an offset below nothing', [{ offset: '-4', length: '12' }]],
    ['an invalid number', [{ length: '0x0c' }]],
    ['a number too large to count', [{ offset: '18446744073709551616' }]],
    ['bytes that overlap', [{ length: '12' }, { offset: '4', length: '8' }]],
    ['a prepacked form', [{ length: '12', prepacked_0: 'w|0;12;' }]],
  ];
  for (const [what, entries] of ranges) {
    it(`are refused with ${what}`, async () => {
      await writeFile(data, BYTES);
      const location = 'model.onnx_data';
      const tensors = entries.map((entry, index) => external(index === 0 ? 'w' : `w${index}`, { location, ...entry }));
      await writeFile(graph, model({ initializers: tensors }));
      expect(await refusal()).to.match(/refused|expected (a number|location)/);
    });
  }

  it('are refused if the shape exceeds the file, and no length is given', async () => {
    await writeFile(graph, model({ initializers: [external('w', { location: 'model.onnx_data', offset: '4' })] }));
    await writeFile(data, BYTES);
    expect(await refusal()).not.to.match(/^got/);
    await rm(data);
    await symlink('../secret', data);
    expect(await refusal()).not.to.match(/^got/);
  });

  it('may share their bytes', async () => {
    const entries = { location: 'model.onnx_data', length: '12' };
    await writeFile(graph, model({ initializers: [external('w', entries), external('tied', entries)] }));
    await writeFile(data, BYTES);
    expect(await opened()).to.deep.equal([1, 2, 3]);
  });

  it('are refused without waiting if the path is a pipe, a device or a directory', async function () {
    await writeFile(graph, model({ initializers: [external('w', { location: 'model.onnx_data', length: '12' })] }));
    try {
      execFileSync('mkfifo', [data]);
    } catch {
      console.log('      skipped: this system has no mkfifo');
      return this.skip();
    }
    expect(await refusal()).to.include('not a file');
    await rm(data);
    await symlink('/dev/zero', data);
    expect(await refusal()).to.include('not a file');
    await rm(data);
    await mkdir(data);
    expect(await refusal()).to.include('not a file');
  });

  it('are not looked for in a file that nests without an end', async () => {
    let nested = inBranch;
    for (let depth = 0; depth < 5000; depth += 1) nested = bytesField(1, node('If', [], 'y', [bytesField(6, nested)]));
    await writeFile(graph, model({ graph: [nested] }));
    expect(await refusal()).to.match(/at most 100 nested messages|graphs in each other/);
  });
});
