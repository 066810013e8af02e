import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { yunetIn } from '../../support/samples.js';
import { byCallers } from '../callers.js';
import { startPython } from '../python.js';

export const FACES = { FEATURE_FACE: 'true' };
/** Calls per turn. */
const COUNT = 16;
/** Turns before the first that counts: 512 calls, as in images.js. */
const SETTLING_TURNS = 32;

export async function faces({ python, shared, dir }) {
  const model = yunetIn(shared);
  const line = async (width, height) => {
    const image = join(dir, `${width}x${height}.jpg`);
    const photo = sharp(`${shared}/samples/photos/astronaut.png`).resize(width, height, { fit: 'fill' });
    await photo.jpeg({ quality: 90 }).toFile(image);
    const content = readFileSync(image);
    return {
      name: `faces, a JPEG of ${width} x ${height} a call, one caller`,
      peer: 'OpenCV',
      calls: COUNT,
      settling: SETTLING_TURNS,
      start: () => startPython(python, '../vision/faces.py', { model, image, count: COUNT }),
      turns: [{ do: 'whole' }],
      ours: async (client) => {
        const answers = await byCallers(1, new Array(COUNT).fill([content]), (one) => client.detectFaces(one));
        return answers.at(-1).results[0].value.faces.length;
      },
      compare: (own, theirs) => `${own} and ${theirs} found`,
    };
  };
  return [await line(512, 512), await line(1000, 872)];
}
