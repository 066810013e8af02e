// Where the models and samples of the benchmarks lie.
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { inRepository, modelFiles } from './measure.js';

/** Samples of the demo that stand for a caller's file. */
export const IMAGE = inRepository('demo/samples/images/03-pizza.jpg');
export const FACES = inRepository('demo/samples/faces/faces_1.png');
export const SPEECH = inRepository('demo/samples/speech/search.flac');

export const DRAWINGS = inRepository('demo/samples/images');
export const SIGLIP_POCKET = inRepository('demo/models/heimdex/siglip-pocket');

/** The graph of YuNet in the shared models. */
export function yunetIn(shared) {
  return join(shared, 'models/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx');
}

/** YuNet as `load` of its architecture takes it. */
export function yunetFiles(shared) {
  const path = yunetIn(shared);
  return modelFiles('opencv/face_detection_yunet', dirname(path), { model: basename(path) });
}

/** The paths of the images in a directory, by name. */
export function imagesIn(dir) {
  return readdirSync(dir)
    .filter((name) => /\.(png|jpe?g|webp)$/i.test(name))
    .sort()
    .map((name) => join(dir, name));
}
