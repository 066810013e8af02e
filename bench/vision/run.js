// Measures and profiles image embedding: `node bench/vision/run.js --python PATH`. Results: results.md.
import { existsSync, readFileSync } from 'node:fs';
import { RawImage, SiglipImageProcessor, SiglipVisionModel } from '@huggingface/transformers';
import sharp from 'sharp';
import {
  decodePixels,
  ImageResizer,
  readImageHeader,
  writePlanes,
} from '../../inference/dist/src/media/images/index.js';
import { load } from '../../inference/dist/src/models/siglip/model.js';
import { Tower } from '../../inference/dist/src/models/siglip/tower.js';
import { temporaryDir } from '../support/dir.js';
import {
  CONTEXT,
  measure,
  modelFiles,
  OPTIONS,
  printTable,
  readOptions,
  runPython,
  stepMs,
} from '../support/measure.js';
import { DRAWINGS, imagesIn, SIGLIP_POCKET } from '../support/samples.js';
import { SESSION } from '../support/transformers-js.js';

const COUNT = 32;
const SIDE = 96;
const options = readOptions();

function images(dir) {
  const paths = imagesIn(dir);
  return Array.from({ length: COUNT }, (_, index) => paths[index % paths.length]);
}

/** Photographs of 12 million pixels, as from a phone: enlarged samples. */
async function large(paths) {
  const dir = temporaryDir();
  const made = [];
  for (const [index, path] of paths.slice(0, 8).entries()) {
    const file = `${dir}/${index}.jpg`;
    await sharp(path).removeAlpha().resize(4000, 3000, { fit: 'fill' }).jpeg({ quality: 90 }).toFile(file);
    made.push(file);
  }
  return made;
}

async function transformersJs(paths, dtype) {
  const processor = await SiglipImageProcessor.from_pretrained(SIGLIP_POCKET);
  const model = await SiglipVisionModel.from_pretrained(SIGLIP_POCKET, { dtype, session_options: SESSION });
  const contents = paths.map((path) => new Blob([readFileSync(path)]));
  const figures = await measure(paths.length, options.rounds, async () => {
    for (const content of contents) {
      const { pooler_output: rows } = await model(await processor(await RawImage.fromBlob(content)));
      rows.normalize();
    }
  });
  await model.dispose();
  return figures;
}

async function ours(paths, weights) {
  const model = await load(modelFiles('heimdex/siglip-pocket', SIGLIP_POCKET, { vision: weights }), OPTIONS);
  const items = paths.map((path) => ({ type: 'image', content: readFileSync(path), normalize: true }));
  const figures = await measure(paths.length, options.rounds, () => model.run(items, CONTEXT));
  await model.close();
  return figures;
}

async function compare(title, paths) {
  for (const [weights, dtype] of [
    ['onnx/vision_model.onnx', 'fp32'],
    ['onnx/vision_model_quantized.onnx', 'q8'],
  ]) {
    const job = { model: `${SIGLIP_POCKET}/${weights}`, images: paths, rounds: options.rounds };
    printTable(`${title}, ${dtype}`, [
      ['Python: Pillow, onnxruntime', runPython(options.python, new URL('./peer.py', import.meta.url), job)],
      ['@huggingface/transformers', await transformersJs(paths, dtype)],
      ['this server', await ours(paths, weights)],
    ]);
  }
}

async function profile(title, paths) {
  const contents = paths.map((path) => readFileSync(path));
  const target = { width: SIDE, height: SIDE };
  const headers = await Promise.all(contents.map((content) => readImageHeader(content, 1e9)));
  const decoded = await Promise.all(contents.map((content, index) => decodePixels(content, headers[index], target)));
  const resizer = new ImageResizer();
  const resized = decoded.map((image) => resizer.resize(image, SIDE, SIDE, 'bicubic'));
  const scale = { rescale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const values = new Float32Array(3 * SIDE * SIDE);
  const tower = await Tower.open(`${SIGLIP_POCKET}/onnx/vision_model.onnx`, 'pixel_values', OPTIONS);
  const indexes = contents.map((_, index) => index);
  const steps = {
    'header (libvips)': await stepMs(contents, (content) => readImageHeader(content, 1e9)),
    'decoding, and downscaling of large images (libvips, other thread)': await stepMs(indexes, (index) =>
      decodePixels(contents[index], headers[index], target),
    ),
    'resizing (WebAssembly)': await stepMs(decoded, (image) => resizer.resize(image, SIDE, SIDE, 'bicubic')),
    'conversion to planar floats': await stepMs(resized, (image) => writePlanes(image, scale, values)),
    'the network': await stepMs(resized, () => tower.run(values, [1, 3, SIDE, SIDE])),
  };
  await tower.close();
  console.log(`\n${title}, one image, each step alone\n\n| step | ms |\n|---|---|`);
  for (const [step, ms] of Object.entries(steps)) console.log(`| ${step} | ${ms.toFixed(2)} |`);
}

const drawn = images(DRAWINGS);
await profile('32 drawings of 256 to 512 pixels', drawn);
await compare('32 drawings of 256 to 512 pixels', drawn);
const photos = `${options.shared}/samples/photos`;
if (existsSync(photos)) {
  const paths = images(photos);
  await compare('32 photographs of 450 to 740 pixels', paths);
  const made = await large(paths);
  await profile('8 photographs of 12 million pixels', made);
  await compare('8 photographs of 12 million pixels', made);
}
