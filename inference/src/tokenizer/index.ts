export { type HubTokenizer, openLibrary } from './library.js';
export { readTokenizerJson } from './slow/read.js';
export {
  createTokenizer,
  loadTokenizer,
  MAX_CHARACTERS,
  type TextTokenizer,
  type TokenizedText,
  type TokenizerOptions,
} from './tokenizer.js';
