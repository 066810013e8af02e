import { readFile, rm } from 'node:fs/promises';
import { expect } from 'chai';
import sharp from 'sharp';
import type { Face, FaceItem, FaceResult, Point } from '../../src/models/items.js';
import type { LoadedModel, Outcome } from '../../src/models/model.js';
import { load } from '../../src/models/yunet/model.js';
import { overlap } from '../../src/models/yunet/postprocess.js';
import { namelessFaces } from '../support/faces.js';
import { CONTEXT, inRepository, inShared, modelFiles, needsShared, OPTIONS, readJsonFile } from '../support/paths.js';

type YuNet = LoadedModel<FaceItem, FaceResult>;

const DIR = inRepository('demo/models/heimdex/face-pocket');
const FACES = inRepository('demo/samples/faces');

function face(content: Uint8Array, options: Partial<FaceItem> = {}): FaceItem {
  return { content, scoreThreshold: 0.7, nmsThreshold: 0.3, maxFaces: 0, ...options };
}

function value(outcome: Outcome<FaceResult> | undefined): FaceResult {
  if (outcome?.ok !== true) throw outcome?.error ?? new Error('no outcome');
  return outcome.value;
}

function points({ landmarks }: Face): Point[] {
  const { rightEye, leftEye, nose, rightMouthCorner, leftMouthCorner } = landmarks;
  return [rightEye, leftEye, nose, rightMouthCorner, leftMouthCorner];
}

interface Expected {
  readonly box: readonly number[];
  readonly score: number;
  readonly landmarks: readonly (readonly number[])[];
}

/** Every expected face is found, best first, and no other. */
function expectFaces(result: FaceResult, expected: readonly Expected[], pixels: number): void {
  expect(result.faces.length).to.equal(expected.length);
  expected.forEach(({ box, score, landmarks }, index) => {
    const found = result.faces[index] as Face;
    const [x = 0, y = 0, width = 0, height = 0] = box;
    expect(overlap(found.box, { x, y, width, height })).to.be.above(0.95);
    expect(found.score).to.be.closeTo(score, 0.01);
    points(found).forEach((point, at) => {
      expect(point.x).to.be.closeTo(landmarks[at]?.[0] ?? Number.NaN, pixels);
      expect(point.y).to.be.closeTo(landmarks[at]?.[1] ?? Number.NaN, pixels);
    });
  });
}

describe('YuNet', () => {
  let model: YuNet;
  /** The same as a YuNet of unknown making: images in their own size. */
  let free: YuNet;
  let dir: string;

  before(async () => {
    dir = await namelessFaces();
    free = await load(modelFiles('x/y', dir, { model: 'faces.onnx' }), OPTIONS);
    model = await load(modelFiles('heimdex/face-pocket', DIR, { model: 'face_detection_pocket.onnx' }), OPTIONS);
    await model.warmUp();
  });

  after(async () => {
    await model.close();
    await model.close();
    await free.close();
    await rm(dir, { recursive: true });
  });

  it('runs an image at its own size by the graph and not by its name, unless the graph requires the fixed size', async () => {
    const content = await readFile(`${FACES}/faces_1.png`);
    const named = await load(modelFiles('x/yunet', DIR, { model: 'face_detection_pocket.onnx' }), OPTIONS);
    const [fixed, other, own] = await Promise.all(
      [model, named, free].map(async (one) => value((await one.run([face(content)], CONTEXT))[0]).faces),
    );
    expect(other).to.deep.equal(fixed);
    expect(own?.length).to.equal(fixed?.length);
    expect(own).to.not.deep.equal(fixed);
    await named.close();
  });

  it("finds face-pocket's golden faces", async () => {
    const golden = readJsonFile<{
      pictures: { file: string; width: number; height: number; detections: Expected[] }[];
    }>(`${DIR}/golden.json`);
    for (const image of golden.pictures) {
      const [outcome] = await model.run([face(await readFile(`${DIR}/${image.file}`))], CONTEXT);
      const result = value(outcome);
      expect([result.imageWidth, result.imageHeight]).to.deep.equal([image.width, image.height]);
      expectFaces(result, image.detections, 1.5);
    }
  });

  it('finds the faces of the sample images as in the model card', async () => {
    const names = readJsonFile<Record<string, { detected: number }>>(`${FACES}/names.json`);
    const items = await Promise.all(Object.keys(names).map(async (file) => face(await readFile(`${FACES}/${file}`))));
    const found = (await model.run(items, CONTEXT)).map((outcome) => value(outcome).faces.length);
    expect(found).to.deep.equal(Object.values(names).map((entry) => entry.detected));
  });

  it('returns the best first, up to the requested number, above the requested score', async () => {
    const content = await readFile(`${FACES}/faces_4.png`);
    const [all, two, none, strict] = await model.run(
      [
        face(content),
        face(content, { maxFaces: 2 }),
        face(content, { scoreThreshold: 0.999 }),
        face(content, { scoreThreshold: 0.9 }),
      ],
      CONTEXT,
    );
    const scores = value(all).faces.map(({ score }) => score);
    expect(scores).to.deep.equal([...scores].sort((one, other) => other - one));
    expect(value(two).faces).to.deep.equal(value(all).faces.slice(0, 2));
    expect(value(none).faces).to.deep.equal([]);
    expect(value(strict).faces).to.deep.equal(value(all).faces.filter(({ score }) => score >= 0.9));
  });

  it('returns positions in the image as shown, after EXIF orientation', async () => {
    const upright = await sharp(`${FACES}/faces_1.png`).jpeg({ quality: 95 }).toBuffer();
    // Stored lying on its side, with the note that says how to hold it.
    const lying = await sharp(upright).rotate(-90).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
    const [one, other] = (await model.run([face(upright), face(lying)], CONTEXT)).map(value);
    expect([other?.imageWidth, other?.imageHeight]).to.deep.equal([800, 600]);
    expect(overlap((one as FaceResult).faces[0]?.box as Face['box'], other?.faces[0]?.box as Face['box'])).to.be.above(
      0.95,
    );
  });

  it('fails only the broken image', async () => {
    const good = await readFile(`${FACES}/faces_1.png`);
    const outcomes = await model.run([face(Buffer.from('text')), face(good), face(good.subarray(0, 3000))], CONTEXT);
    expect(outcomes.map(({ ok }) => ok)).to.deep.equal([false, true, false]);
    const small = await load(modelFiles('x/y', DIR, { model: 'face_detection_pocket.onnx' }), {
      ...OPTIONS,
      maxImagePixels: 1000,
    });
    const [large] = await small.run([face(good)], CONTEXT);
    expect(large?.ok === false && large.error.code).to.equal('IMAGE_TOO_LARGE');
    await small.close();
  });

  it('skips cancelled images', async () => {
    const good = await readFile(`${FACES}/faces_1.png`);
    const signals = [AbortSignal.abort(), new AbortController().signal];
    const outcomes = await model.run([face(good), face(good)], { ...CONTEXT, signals });
    expect(outcomes[0]?.ok === false && outcomes[0].error.code).to.equal('CANCELLED');
    expect(value(outcomes[1]).faces.length).to.equal(1);
  });

  it('refuses a graph with another interface', async () => {
    const siglip = inRepository('demo/models/heimdex/siglip-pocket');
    for (const weights of [{ model: 'onnx/text_model.onnx' }, {}]) {
      let said = '';
      await load(modelFiles('x/y', siglip, weights), OPTIONS).catch((error: unknown) => {
        said = String(error);
      });
      expect(said).to.match(/Expected .*(to be a YuNet|weights named model)/);
    }
  });

  it("finds OpenCV's faces on photographs of any size", async function () {
    needsShared(this, 'golden/faces.json');
    needsShared(this, 'models/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx');
    const dir = inShared('models/opencv/face_detection_yunet');
    const weights = { model: 'face_detection_yunet_2023mar.onnx' };
    type Photo = { box: number[]; score: number; landmarks: Record<string, number[]> }[];
    const golden = readJsonFile<{ photos: Record<string, { native: Photo }> }>(inShared('golden/faces.json'));
    const real = await load(modelFiles('somebody/faces', dir, weights), OPTIONS);
    for (const [file, photo] of Object.entries(golden.photos)) {
      const content = await readFile(inShared(`samples/photos/${file}`));
      const [outcome] = await real.run([face(content, { scoreThreshold: 0.6 })], CONTEXT);
      const expected = photo.native.map((one) => ({ ...one, landmarks: Object.values(one.landmarks) }));
      expectFaces(value(outcome), expected, 1.5);
    }
    await real.close();
  });

  /** A face of some two thirds of `side` pixels, with what is around it. */
  async function smallFace(side: number): Promise<Buffer> {
    const [found] = await free.run([face(await readFile(`${FACES}/faces_1.png`))], CONTEXT);
    const { box } = value(found).faces[0] as Face;
    const cut = {
      left: Math.round(box.x - 40),
      top: Math.round(box.y - 40),
      width: Math.round(box.width + 80),
      height: Math.round(box.height + 80),
    };
    return await sharp(`${FACES}/faces_1.png`).extract(cut).resize(side).png().toBuffer();
  }

  it('finds faces that are too small in an image by enlarging the places where they may be', async () => {
    const small = await smallFace(16);
    // Too large to be searched for traces of faces, too small for tiles.
    const content = await sharp({ create: { width: 900, height: 450, channels: 3, background: '#dcd2c8' } })
      .composite([
        { input: small, left: 100, top: 100 },
        { input: small, left: 603, top: 301 },
      ])
      .png()
      .toBuffer();
    const { faces } = value((await free.run([face(content)], CONTEXT))[0]);
    const middles = faces.map(({ box: { x, y, width, height } }) => [x + width / 2, y + height / 2]);
    const [left, right] = middles.sort(([one = 0], [other = 0]) => one - other);
    expect(faces.length).to.equal(2);
    for (const [middle, x, y] of [
      [left, 108, 108],
      [right, 611, 309],
    ] as const) {
      expect(middle?.[0]).to.be.closeTo(x, 3);
      expect(middle?.[1]).to.be.closeTo(y, 3);
    }
  });

  it('finds small faces of a large image in tiles if all faces are requested', async () => {
    const small = await smallFace(42);
    const positions = [
      [100, 100],
      [1000, 990],
      [3100, 700],
      [4300, 2800],
    ] as const;
    const large = await sharp({ create: { width: 4400, height: 2900, channels: 3, background: '#dcd2c8' } })
      .composite(positions.map(([left, top]) => ({ input: small, left, top })))
      .jpeg({ quality: 95 })
      .toBuffer();
    const [all, some] = (await free.run([face(large), face(large, { maxFaces: 10 })], CONTEXT)).map(value);
    const seen = (result: FaceResult | undefined): number =>
      positions.filter(([left, top]) =>
        result?.faces.some(({ box: { x, y, width, height } }) => {
          const [across, down] = [x + width / 2 - left, y + height / 2 - top];
          return across > 8 && across < 34 && down > 8 && down < 34 && width < 42;
        }),
      ).length;
    expect(seen(all)).to.equal(positions.length);
    expect(all?.faces.length).to.equal(positions.length);
    expect(seen(some)).to.be.below(positions.length);
    expect([all?.imageWidth, all?.imageHeight]).to.deep.equal([4400, 2900]);
  });

  it('accepts images of every shape', async () => {
    for (const [width, height] of [
      [2, 2],
      [3, 4000],
      [33, 31],
      [1281, 1280],
      [5000, 2],
    ] as const) {
      const content = await sharp({ create: { width, height, channels: 3, background: '#808080' } })
        .png()
        .toBuffer();
      for (const one of [free, model]) {
        const [outcome] = await one.run([face(content)], CONTEXT);
        expect(value(outcome)).to.deep.equal({ imageWidth: width, imageHeight: height, faces: [] });
      }
    }
  });
});
