import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { FaceItem, FaceResult, ImageItem, TextItem, VectorResult } from '../../src/models/items.js';
import type { LoadedModel, Outcome } from '../../src/models/model.js';
import { load as loadSiglip } from '../../src/models/siglip/model.js';
import { load as loadYuNet } from '../../src/models/yunet/model.js';
import { namelessFaces } from '../support/faces.js';
import { CONTEXT, inRepository, modelFiles, OPTIONS } from '../support/places.js';
import { damage, Random, randomPicture, randomText } from '../support/random.js';

const ROUNDS = 8;
const ITEMS = 8;

describe('whatever is sent', () => {
  let siglip: LoadedModel<ImageItem | TextItem, VectorResult>;
  let yunet: LoadedModel<FaceItem, FaceResult>;
  let folder: string;

  before(async () => {
    const pocket = inRepository('demo/models/heimdex/siglip-pocket');
    const weights = { vision: 'onnx/vision_model.onnx', text: 'onnx/text_model.onnx' };
    siglip = await loadSiglip(modelFiles('heimdex/siglip-pocket', pocket, weights), OPTIONS);
    folder = await namelessFaces();
    yunet = await loadYuNet(modelFiles('x/y', folder, { model: 'faces.onnx' }), OPTIONS);
  });

  after(async () => {
    await siglip.close();
    await yunet.close();
    await rm(folder, { recursive: true });
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

  it('gets an answer or an error, and whole pictures beside it get theirs', async () => {
    const random = new Random(20_260_101);
    for (let round = 0; round < ROUNDS; round += 1) {
      const whole = await Promise.all(Array.from({ length: ITEMS }, () => randomPicture(random)));
      const contents = whole.flatMap((picture) => [picture, damage(picture, random)]);
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
      for (let item = 0; item < ITEMS; item += 1)
        expect(vectors[item * 2]?.ok, `round ${round}, ${item}`).to.equal(true);
    }
  });

  it('gets a vector when it is a text', async () => {
    const random = new Random(7);
    for (let round = 0; round < ROUNDS; round += 1) {
      const texts = Array.from({ length: ITEMS }, () => randomText(random));
      const outcomes = await siglip.run(
        texts.map((text) => ({ type: 'text', text, normalize: true, truncate: true })),
        CONTEXT,
      );
      check(outcomes, isVector);
      expect(outcomes.every(({ ok }) => ok)).to.equal(true);
    }
  });
});
