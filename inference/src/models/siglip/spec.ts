import { TOKEN_BATCH } from '../batch-specs.js';
import type { ImageItem, TextItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** Every SigLIP text tower reads 64 tokens, padding included. */
const TEXT_COST_TOKENS = 64;
/** Patches of a 384 x 384 image at 16 pixels a patch; small towers have fewer, large ones more. */
const IMAGE_COST_TOKENS = 576;

/** SigLIP: images and texts in one space of vectors. Images and texts go to different towers, so never in one batch. */
export const siglipSpec: FamilySpec<ImageItem | TextItem> = {
  healthName: () => 'siglip',
  cost: (item) => (item.type === 'text' ? TEXT_COST_TOKENS : IMAGE_COST_TOKENS),
  costUnit: 'tokens',
  batch: TOKEN_BATCH,
  kind: (item) => item.type,
};
