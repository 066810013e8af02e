import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { ROW_SCALES } from '../../src/models/session/per-token-session.js';
import { openTransformedSession } from '../../src/models/session/transformed-session.js';
import { multipliesExactly, weightsForm } from '../../src/models/session/weights-form.js';
import { newModel, node, tensor, writeModel } from '../../src/onnx/index.js';

const INPUTS = 64;
const OUTPUTS = 8;
/** Pairs whose sum overflows 16 bits on some CPUs, among small ones. */
const WEIGHTS = Int8Array.from({ length: INPUTS * OUTPUTS }, (_, at) => (at % 5 === 0 ? 3 : 127));
const SCALE = 0.01;

/** A product as written by quantize_dynamic. */
const GRAPH = writeModel(
  newModel({
    name: 'product',
    nodes: [
      node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
      node('MatMulInteger', ['q', 'w', 'z', 'wz'], ['yi']),
      node('Cast', ['yi'], ['yf'], { to: 1 }),
      node('Mul', ['s', 'ws'], ['scales']),
      node('Mul', ['yf', 'scales'], ['y']),
    ],
    initializers: [
      tensor('w', [INPUTS, OUTPUTS], WEIGHTS),
      tensor('ws', [], Float32Array.of(SCALE)),
      tensor('wz', [], Int8Array.of(0)),
    ],
    inputs: [{ name: 'x', elementType: 'float32', dims: ['rows', INPUTS] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', OUTPUTS] }],
  }),
);

describe('the form of 8-bit weights', () => {
  it('is plain on a CPU with an exact 8-bit product', async function () {
    let features: string;
    try {
      features = readFileSync('/proc/cpuinfo', 'utf8');
    } catch {
      this.skip();
    }
    if (/avx512_vnni|avx_vnni|asimd/.test(features)) expect(await weightsForm({})).to.equal('plain');
    else expect(await weightsForm({})).to.equal((await multipliesExactly()) ? 'plain' : 'overflow-safe');
  });

  it('is the requested one, if set', async () => {
    expect(await weightsForm({ weights: 'overflow-safe' })).to.equal('overflow-safe');
    expect(await weightsForm({ weights: 'plain' })).to.equal('plain');
  });

  for (const [name, weights] of [
    ['this CPU’s own', undefined],
    ['overflow-safe', 'overflow-safe'],
  ] as const) {
    it(`has the correct product of maximum values: ${name}`, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'weights-form-'));
      try {
        const path = join(dir, 'model.onnx');
        await writeFile(path, GRAPH);
        const options = { device: 'cpu', threads: 1, ...(weights === undefined ? {} : { weights }) } as const;
        const { session, changed } = await openTransformedSession(path, options, ROW_SCALES);
        try {
          expect(changed).to.equal(true);
          for (const rows of [1, 5]) {
            const x = new Tensor('float32', new Float32Array(rows * INPUTS).fill(3), [rows, INPUTS]);
            const y = (await session.run({ x })).y?.data as Float32Array;
            y.forEach((value, at) => {
              const output = at % OUTPUTS;
              let truth = 0;
              for (let input = 0; input < INPUTS; input++)
                truth += 3 * SCALE * (WEIGHTS[input * OUTPUTS + output] ?? 0);
              expect(Math.abs(value - truth) / truth).to.be.at.most(0.02);
            });
          }
        } finally {
          await session.release();
        }
      } finally {
        await rm(dir, { recursive: true });
      }
    });
  }
});
