export { readTokenizerJson } from './slow-files.js';
export { createTokenizer, loadTokenizer, type TextTokenizer, type TokenizedText } from './tokenizer.js';
export { lowerCase } from './unicode.js';
