import { IMAGE_BATCH } from '../batch-specs.js';
import type { ImageItem, TextItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** All SigLIP text towers read 64 tokens, padding included. */
const TEXT_COST_TOKENS = 64;
/** Patches of a 384 x 384 image with 16-pixel patches. Small towers have fewer, large ones more. */
const IMAGE_COST_TOKENS = 576;

/** SigLIP: images and texts in one vector space. They use different towers, so they never share a batch. */
export const siglipSpec: FamilySpec<ImageItem | TextItem> = {
  healthName: () => 'siglip',
  cost: (item) => (item.type === 'text' ? TEXT_COST_TOKENS : IMAGE_COST_TOKENS),
  costUnit: 'tokens',
  batch: IMAGE_BATCH,
  kind: (item) => item.type,
};
