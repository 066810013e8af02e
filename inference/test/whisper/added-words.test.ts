import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readWhisperConfig, type WhisperConfig } from '../../src/models/whisper/config.js';
import { maxPromptTokens, textBefore } from '../../src/models/whisper/prompt.js';
import { Vocabulary, WhisperTokenizer } from '../../src/models/whisper/vocabulary.js';
import { koreanWhisper } from '../fixtures/fine-tunes.js';

const WORD = { content: '김치찌개', special: false, normalized: true };
const MARK = { content: '<|jamo|>', special: true, normalized: false };

describe('a Whisper whose fine-tune has added words', () => {
  let dir: string;
  let config: WhisperConfig;
  let vocabulary: Vocabulary;
  let behind: number;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-added-words-'));
    for (const file of koreanWhisper().files) {
      if (!('bytes' in file) || !file.path.endsWith('.json')) continue;
      const json = JSON.parse(String(file.bytes));
      if (file.path === 'tokenizer.json') {
        behind = 256 + json.added_tokens.length;
        json.added_tokens.push({ ...MARK, id: behind }, { ...WORD, id: behind + 1 });
      }
      await writeFile(join(dir, file.path), JSON.stringify(json));
    }
    const tokenizer = await WhisperTokenizer.open(dir);
    config = await readWhisperConfig(dir, tokenizer);
    vocabulary = new Vocabulary(tokenizer, config);
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it('has text for them, and none for its own special tokens and times', () => {
    const { endOfText, firstTimestamp } = vocabulary.special;
    expect(behind).to.equal(firstTimestamp + 1501);
    expect(vocabulary.decode([...vocabulary.encode('국'), firstTimestamp, behind, behind + 1])).to.equal('국김치찌개');
    const texts = Array.from({ length: behind + 3 }, (_, token) => token).filter((token) => vocabulary.isText(token));
    expect(texts).to.deep.equal([...Array(endOfText).keys(), behind + 1]);
  });

  it('encodes the hotwords of a call once, for all of its windows', () => {
    const tokens = vocabulary.encode('김치찌개');
    expect(tokens).to.deep.equal([behind + 1]);
    for (let others = 0; others < 15; others++) vocabulary.encode(String(others));
    expect(vocabulary.encode('김치찌개')).to.equal(tokens);
    for (let others = 0; others < 16; others++) vocabulary.encode(String(others));
    expect(vocabulary.encode('김치찌개')).to.not.equal(tokens);
  });

  it('knows them in hotwords whose letters are in parts, as in the file names of macOS', () => {
    const tokens = textBefore(config, vocabulary, '국 김치찌개'.normalize('NFD'), []);
    expect(tokens).to.deep.equal(textBefore(config, vocabulary, '국 김치찌개', []));
    expect(tokens.at(-1)).to.equal(behind + 1);
  });

  it('encodes of long hotwords only as much as the prompt has room for', () => {
    const hotwords = '국밥'.repeat(5000);
    const lengths: number[] = [];
    const encode = (text: string, limit?: number) => {
      const tokens = vocabulary.encode(text, limit);
      lengths.push(tokens.length);
      return tokens;
    };
    const counting = { special: vocabulary.special, encode } as Vocabulary;
    const tokens = textBefore(config, counting, hotwords, []);
    const room = maxPromptTokens(config);
    expect(lengths).to.deep.equal([room]);
    const start = vocabulary.encode(` ${hotwords.slice(0, room)}`).slice(0, room);
    expect(tokens).to.deep.equal([vocabulary.special.startOfPrevious, ...start]);
  });
});
