import { expect } from 'chai';
import { TokenTexts } from '../../src/models/whisper/token-texts.js';
import { WhisperTokenizer } from '../../src/models/whisper/vocabulary.js';
import { inShared, needsShared } from '../support/paths.js';
import { WHISPER_BASE } from '../support/whisper.js';

describe("the texts of Whisper's tokens", () => {
  it("equal the library's, alone and with letters spread over several tokens", async function () {
    needsShared(this, `${WHISPER_BASE}/tokenizer.json`);
    const tokenizer = await WhisperTokenizer.open(inShared(WHISPER_BASE));
    const texts = TokenTexts.read(tokenizer.json);
    const opened = tokenizer.openLibrary();
    const library = (tokens: readonly number[]) =>
      opened.decode(tokens, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    const all = Array.from({ length: tokenizer.id('<|endoftext|>') ?? 0 }, (_, token) => token);
    const sequences = [...all.map((token) => [token]), all, [...all].reverse(), [...all, 50_257, 50_258]];
    expect(sequences.filter((tokens) => texts?.decode(tokens) !== library(tokens))).to.deep.equal([]);
  });

  it("are found in a text as by Python's tokenizers, with special tokens and rare spaces in it", async function () {
    needsShared(this, `${WHISPER_BASE}/tokenizer.json`);
    const { encode } = await WhisperTokenizer.open(inShared(WHISPER_BASE));
    for (const [text, tokens] of [
      ['a \ufeffthe', [64, 25072, 119, 123, 3322]],
      ['a, \u0085b', [64, 11, 220, 126, 227, 65]],
      [' <|en|>x<|0.00|> <|endoftext|>', [220, 50259, 87, 50364, 220, 50257]],
      ['', []],
    ] as const)
      expect(encode(text), JSON.stringify(text)).to.deep.equal(tokens);
  });
});
