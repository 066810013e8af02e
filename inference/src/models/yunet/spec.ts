import { PIXEL_BATCH } from '../batch-specs.js';
import type { FaceItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** A JPEG photograph has about this many pixels per byte; a PNG fewer. */
const PIXELS_PER_BYTE = 6;
/** Fixed cost of a small image: if all faces are requested, it is also searched enlarged. */
const MIN_COST_PIXELS = 640 * 640;
const MIN_COST_OF_ALL_FACES = 1024 * 1024;

/** YuNet: faces with five landmarks each. */
export const yunetSpec: FamilySpec<FaceItem> = {
  healthName: () => 'yunet',
  cost: ({ content, maxFaces }) =>
    Math.max(maxFaces === 0 ? MIN_COST_OF_ALL_FACES : MIN_COST_PIXELS, content.byteLength * PIXELS_PER_BYTE),
  costUnit: 'pixels',
  batch: PIXEL_BATCH,
};
