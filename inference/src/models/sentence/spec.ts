import { TOKEN_BATCH } from '../batch-specs.js';
import type { TextItem } from '../items.js';
import type { FamilySpec } from '../model.js';

/** Start, end and, at worst, one more word piece. */
const OVERHEAD_TOKENS = 3;
/**
 * In UTF-8. English has 4 to 5 characters of one byte per token, Chinese and Japanese 1 to 2 of three bytes; the estimate must not be too
 * low.
 */
const BYTES_PER_TOKEN = 3;
/** The longest limit of any known embedder; longer texts are truncated there. */
const LONGEST_TOKENS = 8192;

/**
 * BGE-M3 itself, in any export: BAAI/bge-m3, Xenova/bge-m3, another bge-m3-onnx. Related models (bge-m3-unsupervised,
 * fine-tunes) have other weights and keep their own names.
 */
const BGE_M3 = /(?:^|\/)bge-m3(?:-onnx)?$/i;

/** Sentence embedders in the layout of sentence-transformers, such as BGE-M3 and MiniLM. */
export const sentenceSpec: FamilySpec<TextItem> = {
  healthName: (id) => (BGE_M3.test(id) ? 'bge-m3' : 'sentence-transformers'),
  cost: (item) => Math.min(LONGEST_TOKENS, Math.ceil(Buffer.byteLength(item.text) / BYTES_PER_TOKEN) + OVERHEAD_TOKENS),
  costUnit: 'tokens',
  batch: TOKEN_BATCH,
};
