import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { DRAWINGS, imagesIn, SIGLIP_POCKET } from '../../support/samples.js';
import { byCallers, inCalls } from '../callers.js';
import { startImageServer } from '../image-server.js';
import { startPython } from '../python.js';
import { sameDirection, vectorOf } from './answers.js';

export const IMAGES = { VISION_MODEL_NAME: 'heimdex/siglip-pocket' };
/** Calls of 4 callers per turn. */
const CALLS = 64;
/** Calls before the first that counts, as in text.js: with fewer, V8 still compiles on the cores that both programs share. */
const SETTLING_CALLS = 2_048;
/** Calls of many images; their callers' part is small. */
const SETTLING_BATCHES = 64;
const MODEL = `${SIGLIP_POCKET}/onnx/vision_model.onnx`;

export async function images({ python, shared, dir }) {
  const photos = imagesIn(`${shared}/samples/photos`);
  const drawn = imagesIn(DRAWINGS);
  const drawings = Array.from({ length: 32 }, (_, index) => drawn[index % drawn.length]);
  const line = (name, paths, size, sizes) => {
    const calls = inCalls(
      paths.map((path) => readFileSync(path)),
      size,
    );
    return {
      name: `image, siglip-pocket, ${name}`,
      peer: 'Pillow and onnxruntime',
      calls: calls.length,
      settling: Math.ceil((size === 1 ? SETTLING_CALLS : SETTLING_BATCHES) / calls.length),
      start: () => startPython(python, '../vision/peer.py', { model: MODEL, images: paths }),
      turns: sizes.map((one) => ({ do: 'embed', with: [one] })),
      ours: async (client) => vectorOf((await byCallers(1, calls, (one) => client.embedImage(one))).at(-1)),
      compare: sameDirection,
    };
  };
  return [
    line('a photograph a call, one caller', photos, 1, [1]),
    line('16 photographs in one call', [...photos, ...photos], 16, [1, 8]),
    line('32 drawings of 256 to 512 pixels in one call', drawings, 32, [1, 8]),
    await manyCallers(python, photos[0], dir),
  ];
}

/** 4 callers at a time, as a server has them. */
async function manyCallers(python, photo, dir) {
  const image = join(dir, '1280x720.jpg');
  const upright = sharp(photo).removeAlpha().resize(1280, 720, { fit: 'fill' });
  await upright.jpeg({ quality: 90 }).toFile(image);
  const contents = new Array(CALLS).fill(readFileSync(image));
  return {
    name: 'image, siglip-pocket, a JPEG of 1280 x 720 a call, 4 callers',
    peer: 'a plain Python server',
    calls: CALLS,
    settling: SETTLING_CALLS / CALLS,
    start: () => startImageServer(python, MODEL),
    turns: [{ with: [contents, 4] }],
    ours: async (client) => vectorOf((await byCallers(4, contents, (one) => client.embedImage([one]))).at(-1)),
    compare: sameDirection,
  };
}
