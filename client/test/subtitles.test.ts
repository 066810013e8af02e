import { formatSubtitles, type SubtitleOptions, type SubtitleSegment } from '@heimdex/common/subtitles';
import { expect } from 'chai';

const LONG =
  ' We hold these truths to be self-evident, that all men are created equal, that they are endowed by their Creator with certain unalienable Rights, that among these are Life, Liberty and the pursuit of Happiness.';

function segment(text: string, seconds: number, words: SubtitleSegment['words'] = []): SubtitleSegment {
  return { text, startSeconds: 0, endSeconds: seconds, words };
}

/** Words of a second each, with a pause of half a second after each. */
function spoken(text: string): SubtitleSegment {
  const words = (text.match(/\s*\S+/g) ?? []).map((word, index) => {
    return { text: word, startSeconds: index * 1.5, endSeconds: index * 1.5 + 1 };
  });
  return segment(text, words.length * 1.5, words);
}

interface Cue {
  readonly times: string;
  readonly lines: readonly string[];
}

function cues(format: 'srt' | 'vtt', given: readonly SubtitleSegment[], options?: SubtitleOptions): Cue[] {
  const blocks = formatSubtitles(format, given, options).trimEnd().split('\n\n');
  return blocks.slice(format === 'vtt' ? 1 : 0).map((block) => {
    const [times = '', ...lines] = block.split('\n').slice(format === 'srt' ? 1 : 0);
    return { times, lines };
  });
}

describe('subtitles', () => {
  it('leave a short segment in one line, at its own times', () => {
    expect(formatSubtitles('srt', [segment(' Hello\nthere. ', 1.5)])).to.equal(
      '1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n',
    );
  });

  it('break lines so that both are about as long', () => {
    const [cue] = cues('srt', [segment(' One two three four five six seven eight nine ten', 4)]);
    expect(cue?.lines).to.deep.equal(['One two three four five', 'six seven eight nine ten']);
  });

  for (const format of ['srt', 'vtt'] as const) {
    it(`split a long segment into cues of at most two lines of 42, none of one word: ${format}`, () => {
      const made = cues(format, [segment(LONG, 12)]);
      expect(made.length).to.be.greaterThan(2);
      for (const { lines } of made) {
        expect(lines.length).to.be.within(1, 2);
        for (const line of lines) expect(line.length, line).to.be.at.most(42);
        expect(lines.join(' ').split(' ').length).to.be.greaterThan(2);
      }
      expect(made.flatMap(({ lines }) => lines).join(' ')).to.equal(LONG.trim());
    });
  }

  it('are split at word timestamps if there are any', () => {
    const made = cues('srt', [spoken(' alpha beta gamma delta')], { maxLineWidth: 11, maxLines: 1 });
    expect(made).to.deep.equal([
      { times: '00:00:00,000 --> 00:00:02,500', lines: ['alpha beta'] },
      { times: '00:00:03,000 --> 00:00:06,000', lines: ['gamma delta'] },
    ]);
  });

  it('have the requested number and width of lines', () => {
    const made = cues('vtt', [segment(LONG, 12)], { maxLineWidth: 20, maxLines: 3 });
    for (const { lines } of made) {
      expect(lines.length).to.be.within(1, 3);
      for (const line of lines) expect(line.length).to.be.at.most(20);
    }
  });

  it('cut text without spaces, where wide characters take two columns', () => {
    const text = '今日はとても良い天気ですから散歩に行きましょうと彼女は言いましたが私は家にいました';
    const made = cues('srt', [segment(text, 8)]);
    for (const line of made.flatMap(({ lines }) => lines)) expect(line.length).to.be.at.most(21);
    expect(made.flatMap(({ lines }) => lines).join('')).to.equal(text);
  });

  it('cut a word that is wider than a line between its letters, also where each is several characters', () => {
    for (const letter of ['가', '각'.normalize('NFD')]) {
      const made = cues('srt', [segment(letter.repeat(30), 8)]);
      expect(made.map(({ lines }) => lines)).to.deep.equal([[letter.repeat(21), letter.repeat(9)]]);
    }
  });

  for (const [language, text, lines] of [
    [
      'Japanese',
      '今日は新しい検索サービスをご紹介したいと思います。',
      ['今日は新しい検索サービスを', 'ご紹介したいと思います。'],
    ],
    [
      'Chinese',
      '大家好，今天我们来介绍一个新的搜索服务，谢谢大家。',
      ['大家好，今天我们来介绍一个', '新的搜索服务，谢谢大家。'],
    ],
  ] as const) {
    const letters = [...text].map((letter, at) => ({ text: letter, startSeconds: at / 10, endSeconds: at / 10 + 0.1 }));
    for (const [timed, words] of [
      ['not timed', []],
      ['timed by letter', letters],
    ] as const) {
      it(`break text without spaces between its words, and before no closing sign: ${language}, ${timed}`, () => {
        const made = cues('srt', [segment(text, 4, words)]);
        expect(made).to.deep.equal([{ times: '00:00:00,000 --> 00:00:04,000', lines }]);
      });
    }
  }

  it('measure each word once: a day of speech is written in seconds', () => {
    let reads = 0;
    const words = Array.from({ length: 60 }, (_, at) => ({
      get text() {
        reads += 1;
        return ' 서비스를';
      },
      startSeconds: at,
      endSeconds: at + 1,
    }));
    expect(cues('srt', [segment(' 서비스를'.repeat(60), 60, words)])).to.have.length(8);
    expect(reads / words.length).to.be.at.most(10);
  });

  it('break text of signs at its spaces, also where it has the times of words', () => {
    const made = cues('srt', [spoken(' ♪♪ ♪♪ (♪♪ ♪♪)')], { maxLineWidth: 6, maxLines: 1 });
    expect(made.map(({ lines }) => lines)).to.deep.equal([['♪♪ ♪♪'], ['(♪♪'], ['♪♪)']]);
  });

  it('keep an arrow in the text from being read as times', () => {
    expect(cues('srt', [segment('a --> b ---> c', 1)])[0]?.lines).to.deep.equal(['a -> b -> c']);
    expect(cues('vtt', [segment('a --> b & <c>', 1)])[0]?.lines).to.deep.equal(['a --&gt; b &amp; &lt;c&gt;']);
  });

  it('underline each word while it is spoken', () => {
    expect(cues('vtt', [spoken(' one two')], { highlightWords: true })).to.deep.equal([
      { times: '00:00:00.000 --> 00:00:01.000', lines: ['<u>one</u> two'] },
      { times: '00:00:01.000 --> 00:00:01.500', lines: ['one two'] },
      { times: '00:00:01.500 --> 00:00:02.500', lines: ['one <u>two</u>'] },
      { times: '00:00:02.500 --> 00:00:03.000', lines: ['one two'] },
    ]);
  });

  it('number cues through the segments, and leave out what has no text', () => {
    const text = formatSubtitles('srt', [segment('one', 1), segment('  ', 1), segment('two', 1)]);
    expect(text.match(/^\d+$/gm)).to.deep.equal(['1', '2']);
    expect(formatSubtitles('vtt', [])).to.equal('WEBVTT\n\n');
  });

  for (const highlightWords of [false, true]) {
    it(`have no cue without a length, whatever the times of words${highlightWords ? ', highlighted too' : ''}`, () => {
      const at = (text: string) => ({ text, startSeconds: 2, endSeconds: 2 });
      const words = [{ text: ' alpha', startSeconds: 0, endSeconds: 2 }, at(' beta'), at(' gamma')];
      const made = cues('vtt', [segment(' alpha beta gamma', 2, words)], {
        maxLineWidth: 6,
        maxLines: 1,
        highlightWords,
      });
      expect(made.map(({ times }) => times)).to.deep.equal([
        '00:00:00.000 --> 00:00:02.000',
        '00:00:02.000 --> 00:00:02.001',
        '00:00:02.000 --> 00:00:02.001',
      ]);
    });
  }
});
