export { readTokenizerJson } from './slow/read.js';
export { createTokenizer, loadTokenizer, type TextTokenizer, type TokenizedText } from './tokenizer.js';
export { lowerCase } from './unicode.js';
