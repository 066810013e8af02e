import { PIXEL_BATCH } from '../batch-specs.js';
import type { FaceItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** A JPEG of a photograph has about this many pixels a byte; a PNG fewer. */
const PIXELS_PER_BYTE = 6;
/** The detector's own work on a small image: where all faces are asked for, it is looked at enlarged as well. */
const MIN_COST_PIXELS = 640 * 640;
const MIN_COST_OF_ALL_FACES = 1024 * 1024;

/** YuNet: faces with five points each. */
export const yunetSpec: FamilySpec<FaceItem> = {
  healthName: () => 'yunet',
  cost: ({ content, maxFaces }) =>
    Math.max(maxFaces === 0 ? MIN_COST_OF_ALL_FACES : MIN_COST_PIXELS, content.byteLength * PIXELS_PER_BYTE),
  costUnit: 'pixels',
  batch: PIXEL_BATCH,
};
