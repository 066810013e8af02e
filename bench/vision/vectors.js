// Measures the encoding of 256 vectors of 1024 values: `node bench/vision/vectors.js`. Results: results.md.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EmbedTextResponseSchema } from '@heimdex/gen';
import { embedText } from '../../client/dist/src/embedding.js';
import { encodeFrame, FrameReader } from '../../inference/dist/src/runner/frames.js';
import { toEmbeddingResult } from '../../inference/dist/src/services/vectors.js';

const COUNT = 256;
const DIMENSIONS = 1024;
const ROUNDS = 200;

/** Returns the CPU milliseconds of a call after warm-up. */
async function costMs(run) {
  for (let round = 0; round < ROUNDS / 4; round += 1) await run();
  const before = process.cpuUsage();
  for (let round = 0; round < ROUNDS; round += 1) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / ROUNDS;
}

const outcomes = Array.from({ length: COUNT }, (_, item) => ({
  ok: true,
  value: {
    vector: Float32Array.from({ length: DIMENSIONS }, (_, index) => Math.sin(item * DIMENSIONS + index)),
    tokenCount: 17,
    truncated: false,
  },
}));
const model = { id: 'a/model', revision: '0'.repeat(40), variant: 'q8' };
const timing = { queueMs: 1, runMs: 2, batchSize: 3 };
const answer = (encoding) =>
  create(EmbedTextResponseSchema, {
    results: outcomes.map((outcome) => toEmbeddingResult(outcome, encoding)),
    dimensions: DIMENSIONS,
    model,
    timing,
  });

const texts = outcomes.map(() => '');
console.log('| step, CPU ms | FLOAT32_LE | FLOATS |\n|---|---|---|');
const rows = {
  'worker to server: frame written and read': {},
  'message created': {},
  'message created and serialized': {},
  'message parsed': {},
  "parsed, checked and copied into the client's array": {},
};
for (const encoding of ['bytes', 'floats']) {
  const bytes = toBinary(EmbedTextResponseSchema, answer(encoding));
  const caller = { unary: () => Promise.resolve(fromBinary(EmbedTextResponseSchema, bytes)) };
  const steps = [
    () => new FrameReader().push(Buffer.concat(encodeFrame({ outcomes }))),
    () => answer(encoding),
    () => toBinary(EmbedTextResponseSchema, answer(encoding)),
    () => fromBinary(EmbedTextResponseSchema, bytes),
    () => embedText(caller, texts, {}),
  ];
  for (const [index, name] of Object.keys(rows).entries()) rows[name][encoding] = await costMs(steps[index]);
}
for (const [name, costs] of Object.entries(rows)) {
  console.log(`| ${name} | ${costs.bytes.toFixed(2)} | ${costs.floats.toFixed(2)} |`);
}
