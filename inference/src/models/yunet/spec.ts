import { PIXEL_BATCH } from '../batch-specs.js';
import type { FaceItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** A JPEG of a photograph has about this many pixels a byte; a PNG fewer. */
const PIXELS_PER_BYTE = 6;
/** The detector's own work on the smallest image. */
const MIN_COST_PIXELS = 640 * 640;

/** YuNet: faces with five points each. */
export const yunetSpec: FamilySpec<FaceItem> = {
  healthName: () => 'yunet',
  cost: (item) => Math.max(MIN_COST_PIXELS, item.content.byteLength * PIXELS_PER_BYTE),
  costUnit: 'pixels',
  batch: PIXEL_BATCH,
};
