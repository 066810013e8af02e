import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fieldsOf } from '@heimdex/onnx';
import { expect } from 'chai';
import { memorySource } from '../../src/onnx/source.js';
import { createTokenizer, loadTokenizer, type TextTokenizer } from '../../src/tokenizer/index.js';
import { CharacterMap } from '../../src/tokenizer/precompiled.js';
import { inRepository, inShared, readJsonFile } from '../support/paths.js';

interface Golden {
  readonly texts: readonly string[];
  readonly models: Readonly<
    Record<
      string,
      { ids: number[][]; blocks: string; long: readonly [text: string, times: number, count: number, digest: string][] }
    >
  >;
  readonly charactermap: { readonly texts: string; readonly blocks: string };
}

const GOLDEN = readJsonFile<Golden>(fileURLToPath(new URL('../../../test/tokenizer/golden.json', import.meta.url)));
const EVERYTHING = Number.POSITIVE_INFINITY;

/** Every code point of the first two planes, separated by letters, 48 per text. */
function* blocks(): Iterable<string> {
  for (let low = 0; low < 0x20000; low += 48) {
    const points = Array.from({ length: 48 }, (_, index) => low + index).filter(
      (point) => point < 0xd800 || point >= 0xe000,
    );
    const letters = points.map((point) => String.fromCodePoint(point));
    if (letters.length > 0) yield `x${letters.join('x')} ${letters.join('y ')}`;
  }
}

/** JSON as written by Python's json.dumps, with non-ASCII characters escaped. */
function digest(value: unknown): string {
  const json = JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => {
    return unit === '\u007f' ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return createHash('sha256').update(json).digest('hex');
}

function dirOf(id: string): string {
  return id.startsWith('heimdex/') ? inRepository(`demo/models/${id}`) : inShared(`models/${id}`);
}

for (const [id, golden] of Object.entries(GOLDEN.models)) {
  describe(`the tokenizer of ${id}`, () => {
    let tokenizer: TextTokenizer;

    before(async function () {
      const dir = dirOf(id);
      if (!existsSync(dir)) {
        console.log(`      skipped: ${id} is not there`);
        this.skip();
      }
      tokenizer = await loadTokenizer(dir, `${dir}/tokenizer_config.json`);
    });

    it("returns Python's ids for texts of every kind", () => {
      GOLDEN.texts.forEach((text, index) => {
        expect(tokenizer.encode(text, EVERYTHING).ids, JSON.stringify(text)).to.deep.equal(golden.ids[index]);
      });
    });

    it("returns Python's ids for every character", () => {
      expect(digest(Array.from(blocks(), (text) => tokenizer.encode(text, EVERYTHING).ids))).to.equal(golden.blocks);
    });

    it("returns Python's ids for words and texts of a hundred thousand characters", () => {
      for (const [text, times, count, expected] of golden.long) {
        const { ids } = tokenizer.encode(text.repeat(times), EVERYTHING);
        expect([ids.length, digest(ids)], JSON.stringify(text)).to.deep.equal([count, expected]);
      }
    });

    it('truncates a text, keeping its special tokens', () => {
      const whole = tokenizer.encode('one two three four five six seven', EVERYTHING);
      for (let limit = whole.ids.length; limit > 2; limit -= 1) {
        const cut = tokenizer.encode('one two three four five six seven', limit);
        expect(cut.ids.length).to.equal(limit);
        expect(cut.truncated).to.equal(limit < whole.ids.length);
        expect(cut.ids[0]).to.equal(whole.ids[0]);
        expect(cut.ids.at(-1)).to.equal(whole.ids.at(-1));
      }
    });
  });
}

describe("SentencePiece's character map", () => {
  /** The map in a SentencePiece model: field 2 of its field 3. */
  function characterMap(): CharacterMap {
    const bytes = readFileSync(inRepository('demo/models/heimdex/siglip-pocket/spiece.model'));
    const source = memorySource(bytes);
    for (const field of fieldsOf(source, 0, bytes.length)) {
      if (field.number !== 3) continue;
      for (const inner of fieldsOf(source, field.offset, field.offset + field.length)) {
        if (inner.number === 2) {
          return new CharacterMap(bytes.subarray(inner.offset, inner.offset + inner.length).toString('base64'));
        }
      }
    }
    throw new Error('no character map');
  }

  it("normalizes texts as Python's tokenizers does", () => {
    const map = characterMap();
    expect(digest(GOLDEN.texts.map((text) => map.apply(text)))).to.equal(GOLDEN.charactermap.texts);
    expect(digest(Array.from(blocks(), (text) => map.apply(text)))).to.equal(GOLDEN.charactermap.blocks);
  });

  it('splits a multi-person emoji as the reference does, and handles a long one', () => {
    const map = characterMap();
    const family = '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}';
    const once = map.apply(family);
    expect(map.apply(family.repeat(500))).to.equal(once.repeat(500));
    expect(map.apply('a\u0301'.repeat(3000))).to.equal('\u00e1'.repeat(3000));
    expect(map.apply(`a${'\u0301'.repeat(3000)}`).startsWith('a')).to.equal(true);
  });

  it('rejects invalid bytes', () => {
    expect(() => new CharacterMap('')).to.throw(/precompiled_charsmap/);
    expect(() => new CharacterMap(Buffer.from([255, 255, 0, 0]).toString('base64'))).to.throw(/precompiled_charsmap/);
  });
});

describe('a tokenizer of another kind', () => {
  /** Byte-pair encoding, as in SigLIP 2: through the library. */
  const json = {
    added_tokens: [
      { id: 0, content: '<pad>', special: true, normalized: false },
      { id: 1, content: '<eos>', special: true, normalized: false },
    ],
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<eos>', type_id: 0 } }],
      pair: [],
      special_tokens: { '<eos>': { id: '<eos>', ids: [1], tokens: ['<eos>'] } },
    },
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: '<pad>',
      vocab: { '<pad>': 0, '<eos>': 1, a: 2, b: 3, ab: 4, '\u2581': 5, '\u2581ab': 6 },
      merges: [
        ['a', 'b'],
        ['\u2581', 'ab'],
      ],
    },
  };

  it('works through the library, with the same truncation', () => {
    const tokenizer = createTokenizer(json, { pad_token: '<pad>', model_max_length: 1e30 });
    expect(tokenizer.padId).to.equal(0);
    expect(tokenizer.maxTokens).to.equal(EVERYTHING);
    expect(tokenizer.encode('ab ab a', EVERYTHING)).to.deep.equal({ ids: [4, 6, 5, 2, 1], truncated: false });
    expect(tokenizer.encode('ab ab a', 3)).to.deep.equal({ ids: [4, 6, 1], truncated: true });
  });

  it('reads only as much of a long text as the limit needs, with the same ids', () => {
    const replace = { type: 'Replace', pattern: { Regex: ' +' }, content: '\u2581' };
    for (const normalizer of [json.normalizer, replace]) {
      const tokenizer = createTokenizer({ ...json, normalizer }, {});
      const keepsEnd = createTokenizer({ ...json, normalizer }, { truncation_side: 'left' });
      for (const text of ['ab ', 'a', 'b', ' ', 'aab', 'ba', 'b  a', '\u{1f600}', 'a\u{1f600}b ']) {
        const long = text.repeat(4000);
        const whole = tokenizer.encode(long, EVERYTHING).ids;
        for (const limit of [2, 7, 64]) {
          const { ids, truncated } = tokenizer.encode(long, limit);
          expect(truncated, JSON.stringify(text)).to.equal(whole.length > limit);
          if (truncated) expect(ids, JSON.stringify(text)).to.deep.equal([...whole.slice(0, limit - 1), 1]);
          else expect(ids).to.deep.equal(whole);
          const last = keepsEnd.encode(long, limit);
          expect(last.truncated, JSON.stringify(text)).to.equal(truncated);
          if (truncated) expect(last.ids, JSON.stringify(text)).to.deep.equal(whole.slice(-limit));
        }
      }
    }
  });

  it('is rejected by the name of a part that is unknown or cannot be read', () => {
    for (const [part, reason] of [
      [{ model: { type: 'Magic' } }, /^Expected a tokenizer\.json with a supported model, got \{"type":"Magic"\}\.$/],
      [{ model: { type: 'BPE', vocab: { a: 0 }, merges: [5] } }, /supported model, .* \(.+\)\.$/],
      [
        { normalizer: { type: 'Replace', pattern: { Regex: '(?m)^' }, content: '' } },
        /supported normalizer, .*\(\?m\).* \(Expected an expression without \(\?m\)\)\.$/,
      ],
      // JavaScript has it too, from Node.js 24, for other lines.
      [
        { normalizer: { type: 'Replace', pattern: { Regex: '(?m:.)\\X' }, content: '' } },
        /\(Expected an expression without \(\?m:, \\X\)\.$/,
      ],
      [
        { normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } },
        /supported normalizer, .* \(Invalid regular expression: .+\)\.$/,
      ],
    ] as const) {
      expect(() => createTokenizer({ ...json, ...part }, {})).to.throw(reason);
    }
  });

  it('uses the padding of tokenizer.json without a tokenizer_config.json', () => {
    expect(createTokenizer({ ...json, padding: { pad_id: 7 } }, {}).padId).to.equal(7);
    expect(createTokenizer(json, {}).padId).to.equal(undefined);
    expect(createTokenizer(json, { pad_token: { content: 'ab' } }).padId).to.equal(4);
  });
});
