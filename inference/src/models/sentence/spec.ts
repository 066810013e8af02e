import { TOKEN_BATCH } from '../batch-specs.js';
import type { TextItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** Start, end and, at worst, one piece of a word more. */
const OVERHEAD_TOKENS = 3;
/** English is 4 to 5 characters a token, Chinese 1 to 2: the guess must not be too low. */
const CHARACTERS_PER_TOKEN = 3;
/** The longest text any known embedder reads; what is longer is cut there. */
const LONGEST_TOKENS = 8192;

/**
 * BGE-M3 itself, whoever has exported it: BAAI/bge-m3, Xenova/bge-m3, a bge-m3-onnx of somebody. Its relatives
 * (bge-m3-unsupervised, a fine-tuned one) have other weights, so they do not bear its name.
 */
const BGE_M3 = /(?:^|\/)bge-m3(?:-onnx)?$/i;

/** Sentence embedders in the layout of sentence-transformers: BGE-M3, MiniLM and their kind. */
export const sentenceSpec: FamilySpec<TextItem> = {
  healthName: (id) => (BGE_M3.test(id) ? 'bge-m3' : 'sentence-transformers'),
  cost: (item) => Math.min(LONGEST_TOKENS, Math.ceil(item.text.length / CHARACTERS_PER_TOKEN) + OVERHEAD_TOKENS),
  costUnit: 'tokens',
  batch: TOKEN_BATCH,
};
