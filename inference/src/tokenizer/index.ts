export { createTokenizer, loadTokenizer, type TextTokenizer, type TokenizedText } from './tokenizer.js';
