// Measures the recall of faces by face and image size: `node bench/vision/face-sizes.js`. Results: results.md.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { randomNumbers } from '../../downloader/compiler/dist/src/check/random-numbers.js';
import { CONTEXT, inRepository, OPTIONS, readOptions } from '../support/measure.js';
import { imagesIn, yunetFiles } from '../support/samples.js';

const options = readOptions({
  /** Directories of photographs with faces, and of photographs without. */
  people: [],
  backgrounds: [],
  /** Sizes of the generated images, in million pixels. */
  megapixels: '0.1,0.4,1,3,12,49,100',
  /** Number of images of each kind. */
  seeds: 2,
  /** The compiled `model.js`, of this or another build. */
  model: inRepository('inference/dist/src/models/yunet/model.js'),
});
/** Shares of the image height: several faces in one image, or one large face. */
const CROWD = [0.02, 0.02, 0.03, 0.03, 0.05, 0.05, 0.08, 0.08, 0.12, 0.2];
const LONE = [0.35, 0.5, 0.65, 0.8, 0.95];
const SHAPES = [4 / 3, 3 / 4, 16 / 9, 3];
/** Margin on each side, as a share of a face's box. */
const SURROUNDINGS = 0.6;
const BANDS = [8, 12, 16, 24, 32, 48, 96, 192, 384, 768, 1536, 20_000];
const FACELESS = ['chelsea.png', 'china.jpg', 'coffee.png', 'flower.jpg', 'rocket.jpg'];

const { load } = await import(options.model);
const model = await load(yunetFiles(options.shared), OPTIONS);

async function detect(content) {
  const [outcome] = await model.run([{ content, scoreThreshold: 0.7, nmsThreshold: 0.3, maxFaces: 0 }], CONTEXT);
  if (!outcome.ok) throw outcome.error;
  return outcome.value.faces;
}

/** Cuts faces out of photographs, as detected at 640 pixels, where the model is most confident. */
async function sprites(paths) {
  const found = [];
  for (const path of paths) {
    const { data, info } = await sharp(path)
      .removeAlpha()
      .toColourspace('srgb')
      .png()
      .toBuffer({ resolveWithObject: true });
    const scale = Math.min(1, 640 / Math.max(info.width, info.height));
    const small = await sharp(data)
      .resize(Math.round(info.width * scale))
      .png()
      .toBuffer();
    for (const { box, score } of await detect(small)) {
      const [x, y, width, height] = [box.x, box.y, box.width, box.height].map((number) => number / scale);
      if (score < 0.85 || height < 100) continue;
      const left = Math.max(0, Math.round(x - width * SURROUNDINGS));
      const top = Math.max(0, Math.round(y - height * SURROUNDINGS));
      const right = Math.min(info.width, Math.round(x + width * (1 + SURROUNDINGS)));
      const bottom = Math.min(info.height, Math.round(y + height * (1 + SURROUNDINGS)));
      const cut = { left, top, width: right - left, height: bottom - top };
      found.push({
        data: await sharp(data).extract(cut).png().toBuffer(),
        ...cut,
        face: { x: x - left, y: y - top, width, height },
      });
    }
  }
  return found;
}

function iou(one, other) {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (one.width * one.height + other.width * other.height - width * height);
}

/** Returns a photograph of the given size with faces pasted in, and their positions. */
async function scene(background, faces, heights, { width, height }, next) {
  const pasted = [];
  const truths = [];
  for (const part of heights.toReversed()) {
    const sprite = faces[Math.floor(next() * faces.length)];
    const scale = Math.min((part * height) / sprite.face.height, (0.95 * width) / sprite.face.width);
    const face = { width: sprite.face.width * scale, height: sprite.face.height * scale };
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const truth = { x: next() * (width - face.width), y: next() * (height - face.height), ...face };
      const left = Math.round(truth.x - sprite.face.x * scale);
      const top = Math.round(truth.y - sprite.face.y * scale);
      const box = {
        x: left,
        y: top,
        width: Math.round(sprite.width * scale),
        height: Math.round(sprite.height * scale),
      };
      if (pasted.some((other) => iou(other.box, box) > 0)) continue;
      pasted.push({ box, sprite });
      truths.push(truth);
      break;
    }
  }
  const layers = [];
  for (const { box, sprite } of pasted) {
    const from = { left: Math.max(0, -box.x), top: Math.max(0, -box.y) };
    const cut = {
      ...from,
      width: Math.min(box.width, width - box.x) - from.left,
      height: Math.min(box.height, height - box.y) - from.top,
    };
    const sized = await sharp(sprite.data)
      .resize(box.width, box.height, { fit: 'fill' })
      .png({ compressionLevel: 0 })
      .toBuffer();
    const input = await sharp(sized, { limitInputPixels: false }).extract(cut).png({ compressionLevel: 0 }).toBuffer();
    layers.push({ input, left: Math.max(0, box.x), top: Math.max(0, box.y) });
  }
  const content = await sharp(background)
    .removeAlpha()
    .toColourspace('srgb')
    .resize(width, height, { fit: 'cover' })
    .composite(layers)
    .jpeg({ quality: 90 })
    .toBuffer();
  return { content, truths };
}

const samples = `${options.shared}/samples/photos`;
const people = options.people.length > 0 ? options.people.flatMap(imagesIn) : [join(samples, 'astronaut.png')];
const backgrounds =
  options.backgrounds.length > 0
    ? options.backgrounds.flatMap(imagesIn)
    : FACELESS.map((name) => join(samples, name)).filter((path) => existsSync(path));
const faces = await sprites(people);
console.log(`${faces.length} faces of ${people.length} photographs, ${backgrounds.length} photographs without faces`);

const bands = BANDS.map(() => ({ found: 0, all: 0 }));
const parts = new Map([...new Set([...CROWD, ...LONE])].map((part) => [part, { found: 0, all: 0 }]));
console.log('| million pixels | images | faces | found | false | CPU s per image |\n|---|---|---|---|---|---|');
for (const megapixels of options.megapixels.split(',').map(Number)) {
  const total = { images: 0, faces: 0, found: 0, wrong: 0, cpu: 0 };
  const next = randomNumbers(megapixels * 1000 + 1);
  for (let seed = 0; seed < options.seeds; seed += 1) {
    for (const [index, heights] of [CROWD, CROWD, ...LONE.map((part) => [part])].entries()) {
      const shape = SHAPES[(seed + index) % SHAPES.length];
      const height = Math.round(Math.sqrt((megapixels * 1e6) / shape));
      const size = { width: Math.floor((megapixels * 1e6) / height), height };
      const background = backgrounds[Math.floor(next() * backgrounds.length)];
      const { content, truths } = await scene(background, faces, heights, size, next);
      const before = process.cpuUsage();
      const seen = await detect(content);
      const { user, system } = process.cpuUsage(before);
      const matched = new Set();
      for (const truth of truths) {
        const best = seen.find((face) => !matched.has(face) && iou(face.box, truth) > 0.4);
        const band = bands[BANDS.findIndex((limit) => truth.height < limit)];
        const part = [...parts.keys()].reduce((one, other) =>
          Math.abs(other - truth.height / height) < Math.abs(one - truth.height / height) ? other : one,
        );
        for (const tally of [band, parts.get(part)]) {
          tally.all += 1;
          if (best !== undefined) tally.found += 1;
        }
        if (best !== undefined) matched.add(best);
      }
      total.images += 1;
      total.faces += truths.length;
      total.found += matched.size;
      total.wrong += seen.length - matched.size;
      total.cpu += (user + system) / 1e6;
    }
  }
  console.log(
    `| ${megapixels} | ${total.images} | ${total.faces} | ${total.found} | ${total.wrong} | ${(total.cpu / total.images).toFixed(2)} |`,
  );
}
const row = (tallies) => tallies.map(({ found, all }) => (all === 0 ? '-' : `${found} of ${all}`)).join(' | ');
console.log(
  `\n| height below, pixels | ${BANDS.join(' | ')} |\n|---|${'---|'.repeat(BANDS.length)}\n| found | ${row(bands)} |`,
);
console.log(
  `\n| part of the image's height | ${[...parts.keys()].map((part) => `${Math.round(part * 100)} %`).join(' | ')} |\n|---|${'---|'.repeat(parts.size)}\n| found | ${row([...parts.values()])} |`,
);
await model.close();
