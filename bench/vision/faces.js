// Compares YuNet with OpenCV's FaceDetectorYN: `node bench/vision/faces.js --python PATH`. Results: results.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { load } from '../../inference/dist/src/models/yunet/model.js';
import { temporaryDir } from '../support/dir.js';
import { CONTEXT, measure, OPTIONS, readOptions, runPython } from '../support/measure.js';
import { yunetFiles, yunetIn } from '../support/samples.js';

const { python, rounds, shared } = readOptions();
const SIZES = [
  [512, 512],
  [741, 500],
  [868, 600],
  [1000, 872],
];
/** Images per run: enough to decode ahead. */
const COUNT = 16;

const model = await load(yunetFiles(shared), OPTIONS);
const dir = temporaryDir();
console.log(
  '| size | OpenCV, one thread: detection alone | with decoding | this server, with decoding | times OpenCV |\n|---|---|---|---|---|',
);
try {
  for (const [width, height] of SIZES) {
    const path = join(dir, `${width}x${height}.jpg`);
    writeFileSync(
      path,
      await sharp(`${shared}/samples/photos/astronaut.png`)
        .resize(width, height, { fit: 'fill' })
        .jpeg({ quality: 90 })
        .toBuffer(),
    );
    const peer = runPython(python, new URL('./faces.py', import.meta.url), {
      model: yunetIn(shared),
      image: path,
      count: COUNT,
      rounds,
    });
    const item = { content: readFileSync(path), scoreThreshold: 0.7, nmsThreshold: 0.3, maxFaces: 10 };
    const items = new Array(COUNT).fill(item);
    const ours = await measure(COUNT, rounds, () => model.run(items, CONTEXT));
    const [outcome] = await model.run([item], CONTEXT);
    if (peer !== undefined && outcome.value.faces.length !== peer.faces)
      console.log(`OpenCV finds ${peer.faces} faces, this server ${outcome.value.faces.length}`);
    const show = (figures) =>
      figures === undefined ? '-' : `${(1000 / figures.perSecond).toFixed(1)} ms (CPU ${figures.cpuMs.toFixed(1)})`;
    const times = peer === undefined ? '-' : (ours.perSecond / peer.whole.perSecond).toFixed(1);
    console.log(
      `| ${width} x ${height} | ${show(peer?.detection)} | ${show(peer?.whole)} | ${show(ours)} | ${times} |`,
    );
  }
} finally {
  await model.close();
}
