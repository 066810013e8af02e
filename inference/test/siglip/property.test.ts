import { rm } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { FaceItem, FaceResult, ImageItem, TextItem, VectorResult } from '../../src/models/items.js';
import type { LoadedModel, Outcome } from '../../src/models/model.js';
import { load as loadSiglip } from '../../src/models/siglip/model.js';
import { load as loadYuNet } from '../../src/models/yunet/model.js';
import { namelessFaces } from '../support/faces.js';
import { CONTEXT, inRepository, modelFiles, OPTIONS } from '../support/paths.js';
import { damage, Random, randomImage, randomText } from '../support/random.js';

const ROUNDS = 8;
const ITEMS = 8;
/** Duration of each test below, with other bytes, sizes and texts; HEIMDEX_TEST_SECONDS=60 for a long run. */
const SECONDS = Number(process.env.HEIMDEX_TEST_SECONDS ?? 0);
/** What may stay in memory behind the rounds of one test; an image that is kept is up to 7 MB, and there are 64 and more. */
const MAX_KEPT_BYTES = 24 * 1024 * 1024;

describe('any content', () => {
  let siglip: LoadedModel<ImageItem | TextItem, VectorResult>;
  let yunet: LoadedModel<FaceItem, FaceResult>;
  let dir: string;

  before(async () => {
    const pocket = inRepository('demo/models/heimdex/siglip-pocket');
    const weights = { vision: 'onnx/vision_model.onnx', text: 'onnx/text_model.onnx' };
    siglip = await loadSiglip(modelFiles('heimdex/siglip-pocket', pocket, weights), OPTIONS);
    dir = await namelessFaces();
    yunet = await loadYuNet(modelFiles('x/y', dir, { model: 'faces.onnx' }), OPTIONS);
  });

  after(async () => {
    await siglip.close();
    await yunet.close();
    await rm(dir, { recursive: true });
  });

  /** Every answer is one of the right kind, or an error meant for the caller. */
  function check<T>(outcomes: readonly Outcome<T>[], isRight: (value: T) => boolean): void {
    for (const outcome of outcomes) {
      if (outcome.ok) expect(isRight(outcome.value)).to.equal(true);
      else {
        expect(outcome.error).to.be.instanceOf(InferenceError);
        expect(outcome.error.code).to.be.oneOf(['IMAGE_UNREADABLE', 'IMAGE_TOO_LARGE', 'TEXT_TOO_LONG']);
      }
    }
  }

  const isVector = ({ vector }: VectorResult): boolean => vector.length === 192 && vector.every(Number.isFinite);
  const isFaces = ({ imageWidth, imageHeight, faces }: FaceResult): boolean =>
    imageWidth > 1 && imageHeight > 1 && faces.every(({ score }) => score >= 0.5 && score <= 1);

  /** Enough rounds to fill every cache, then as many again or for SECONDS, after which nothing more may be in use. */
  async function rounds(run: (round: number) => Promise<void>): Promise<void> {
    let round = 0;
    for (; round < ROUNDS / 2; round += 1) await run(round);
    const before = inUseBytes();
    const end = performance.now() + SECONDS * 1000;
    for (; round < ROUNDS || performance.now() < end; round += 1) await run(round);
    const kept = inUseBytes() - before;
    if (SECONDS > 0)
      console.log(`      ${round} rounds; ${(kept / 1024 / 1024).toFixed(1)} MiB more in use than at first`);
    expect(kept).to.be.below(MAX_KEPT_BYTES);
  }

  it('gets a result or an error, and valid images of the same batch get the results they get alone', async function () {
    this.timeout(60_000 + SECONDS * 2000);
    const random = new Random(20_260_101);
    await rounds(async (round) => {
      const whole = await Promise.all(Array.from({ length: ITEMS }, () => randomImage(random)));
      const contents = whole.flatMap((image) => [image, damage(image, random)]);
      contents.push(random.bytes(random.below(500)));
      const vectors = await siglip.run(
        contents.map((content) => ({ type: 'image', content, normalize: true })),
        CONTEXT,
      );
      check(vectors, isVector);
      const faces = await yunet.run(
        contents.slice(0, 4).map((content) => ({ content, scoreThreshold: 0.5, nmsThreshold: 0.3, maxFaces: 0 })),
        CONTEXT,
      );
      check(faces, isFaces);
      const itemOf = (content: Uint8Array): ImageItem => ({ type: 'image', content, normalize: true });
      for (const [item, content] of whole.entries()) {
        const together = vectors[item * 2];
        const [alone] = await siglip.run([itemOf(content)], CONTEXT);
        expect([together?.ok, alone?.ok], `round ${round}, ${item}`).to.deep.equal([true, true]);
        expect(farthest(together, alone), `round ${round}, ${item}`).to.be.below(1e-5);
      }
    });
  });

  it('gets a vector when it is a text', async function () {
    this.timeout(60_000 + SECONDS * 2000);
    const random = new Random(7);
    await rounds(async () => {
      const texts = Array.from({ length: ITEMS }, () => randomText(random));
      const outcomes = await siglip.run(
        texts.map((text) => ({ type: 'text', text, normalize: true, truncate: true })),
        CONTEXT,
      );
      check(outcomes, isVector);
      expect(outcomes.every(({ ok }) => ok)).to.equal(true);
    });
  });
});

/** Bytes of values and buffers that are still reachable. */
function inUseBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The largest difference between the numbers of two vectors. */
function farthest(one: Outcome<VectorResult> | undefined, other: Outcome<VectorResult> | undefined): number {
  if (one?.ok !== true || other?.ok !== true) return Number.NaN;
  const { vector } = other.value;
  return Math.max(...one.value.vector.map((number, at) => Math.abs(number - (vector[at] ?? Number.NaN))));
}
