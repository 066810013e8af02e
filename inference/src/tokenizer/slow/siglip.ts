import type { JsonObject } from '../../json.js';
import { addedTokens, declaredTokens, idsOf, tokenAt } from './added-tokens.js';
import { aroundText } from './around-text.js';
import type { SentencePieceModel } from './sentencepiece.js';

/** Python's string.punctuation. */
const PUNCTUATION =
  '[\\!\\"\\#\\$\\%\\&\\\'\\(\\)\\*\\+\\,\\-\\.\\/\\:\\;\\<\\=\\>\\?\\@\\[\\\\\\]\\^\\_\\`\\{\\|\\}\\~]';

/**
 * SigLIP's tokenizer: texts in lower case without punctuation, then SentencePiece. Its special tokens are pieces, unless tokenizer_config.json
 * declares them. `slow` is read by the tokenizer here: it treats special tokens in a text as Python's slow tokenizers do.
 *
 * Source: transformers, models/siglip/tokenization_siglip.py (canonicalize_text).
 */
export function siglipJson(model: SentencePieceModel, settings: JsonObject): JsonObject {
  const { pieces, unknownId, byteFallback, charsMap } = model;
  const ids = new Map(pieces.map(([piece], id) => [piece, id]));
  const named = (key: string, byDefault: string) => tokenAt(settings, key) ?? byDefault;
  const end = named('eos_token', '</s>');
  if (!ids.has(end)) throw new Error(`Expected spiece.model to have ${end}.`);
  const special = [named('pad_token', '<pad>'), end, named('unk_token', '<unk>')];
  const declared = declaredTokens(settings);
  const replace = (pattern: string, content: string) => ({ type: 'Replace', pattern: { Regex: pattern }, content });
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true };
  const charsMapStep = { type: 'Precompiled', precompiled_charsmap: Buffer.from(charsMap).toString('base64') };
  return {
    slow: true,
    added_tokens: declared.length > 0 ? declared : addedTokens(idsOf(special, ids)),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(settings.do_lower_case === false ? [] : [{ type: 'Lowercase' }]),
        replace(PUNCTUATION, ''),
        ...(charsMap.length === 0 ? [] : [charsMapStep]),
        replace('\\s+', ' '),
        { type: 'Strip', strip_left: true, strip_right: true },
      ],
    },
    pre_tokenizer: metaspace,
    post_processor: aroundText([], [end], ids),
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: unknownId, vocab: pieces, byte_fallback: byteFallback },
  };
}
