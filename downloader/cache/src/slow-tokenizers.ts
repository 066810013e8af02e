/** Tokenizers of Python that are read from files of their own where a repository has no tokenizer.json. */

/** Values of `tokenizer_class`. Others divide words in ways of their own. */
const SLOW_TOKENIZERS: readonly string[] = [
  'BertTokenizer',
  'DistilBertTokenizer',
  'SiglipTokenizer',
  'WhisperTokenizer',
];

/** Whether a tokenizer of this class is read without tokenizer.json. */
export function isSlowTokenizer(name: string): boolean {
  return SLOW_TOKENIZERS.includes(name.replace(/Fast$/, ''));
}
