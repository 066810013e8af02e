import { expect } from 'chai';
import type { InferenceError } from '../../src/errors.js';
import { fixture, inParts, open, refusal, transcribe } from './read-audio.js';
import { pcm16, tone, wavFile } from './wav-file.js';

const FIXTURES = [
  'speech-48k-mono.flac.ogg',
  'speech-44k-stereo.mp3',
  'speech-48k-stereo.vorbis.ogg',
  'speech-48k-stereo.opus',
  'speech-48k-mono-faststart.m4a',
  'speech-44k-stereo.m4a',
];

/** Deterministic pseudorandom numbers. */
function noise(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

async function rejection(work: Promise<unknown>): Promise<InferenceError> {
  return work.then(
    () => expect.fail('It was not refused.'),
    (error: InferenceError) => error,
  );
}

/** A WAV of 48 kHz that never ends. */
async function* endless(counted: { parts: number }): AsyncGenerator<Uint8Array> {
  yield wavFile(pcm16(tone(440, 48_000, 0.1)), { rateHz: 48_000, dataSize: 0xffff_ffff, riffSize: 0xffff_ffff });
  for (;;) {
    counted.parts++;
    yield pcm16(tone(440, 48_000, 0.1));
  }
}

describe('Content that is not audio', () => {
  for (const [name, content, said] of [
    ['nothing', new Uint8Array(0), 'empty'],
    ['one byte', new Uint8Array([0x52]), 'text ("R")'],
    ['a text file', Buffer.from('Hello, this is a transcript of a meeting.\n'.repeat(40)), 'text ("Hello, this'],
    ['JSON', Buffer.from('{"audio": "hello"}'), 'JSON'],
    ['a web page', Buffer.from('<!DOCTYPE html><html><body>404</body></html>'), 'a web page'],
    ['a PNG', Buffer.from('\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR', 'latin1'), 'a PNG image'],
    ['an AVI film', Buffer.from('RIFF\x00\x10\x00\x00AVI LIST', 'latin1'), 'an AVI film'],
    ['random bytes', noise(20_000), 'unknown data beginning with'],
    ['zeros', new Uint8Array(100_000), 'unknown data beginning with 00 00'],
  ] as const) {
    it(`is rejected with what it looks like: ${name}`, async () => {
      const error = await refusal(content);
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(said);
      expect(error.message).to.contain('WAV, FLAC, MP3');
      const streamed = await refusal(inParts(content, 5));
      expect(streamed.message).to.equal(error.message);
    });
  }

  for (const [name, magic] of [
    ['WAV', 'RIFF\x00\x00\x00\x00WAVE'],
    ['FLAC', 'fLaC\x00\x00\x00\x22'],
    ['MP3', 'ID3\x04\x00\x00\x00\x00\x00\x00'],
    [
      'Ogg Vorbis',
      'OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1e\x01vorbis',
    ],
    [
      'Ogg Opus',
      'OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead',
    ],
    ['Ogg without a known stream', 'OggS\x00\x02'],
    ['MP4', '\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00'],
    ['WebM', '\x1aE\xdf\xa3\x9fB\x86\x81'],
    ['AAC', '\xff\xf1\x50\x80\x2e\x7f\xfc\x21'],
    ['MPEG-TS', `G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}G${'\x00'.repeat(187)}`],
  ] as const) {
    it(`is rejected although it begins like ${name}`, async () => {
      const content = Buffer.concat([Buffer.from(magic, 'latin1'), noise(100_000)]);
      expect((await refusal(content)).code).to.equal('AUDIO_UNREADABLE');
      expect((await refusal(content.subarray(0, magic.length))).code).to.equal('AUDIO_UNREADABLE');
    });
  }
});

describe('An endless stream without a sample', () => {
  it('is rejected', async () => {
    async function* junk(): AsyncGenerator<Uint8Array> {
      const head = wavFile(new Uint8Array(0), { between: Buffer.from('junk\xf0\xff\xff\xff', 'latin1') });
      yield head.subarray(0, head.length - 8);
      for (;;) yield new Uint8Array(65_536);
    }
    const error = await refusal(junk());
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('64 consecutive MiB');
  });
});

describe('A damaged audio file', () => {
  for (const name of FIXTURES) {
    it(`does not fail unexpectedly when truncated anywhere: ${name}`, async () => {
      const bytes = await fixture(name);
      for (const part of [0.03, 0.5, 0.97]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * part));
        const result = await transcribe(cut).catch((error: InferenceError) => error);
        if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
        else expect(result.samples.length).to.be.below(32_100);
      }
    });

    it(`does not fail unexpectedly with noise in the middle: ${name}`, async () => {
      const bytes = (await fixture(name)).slice();
      bytes.set(noise(400), Math.floor(bytes.length / 2));
      const result = await transcribe(bytes).catch((error: InferenceError) => error);
      if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
      else expect(result.samples.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
    });

    it(`does not fail unexpectedly with noise after its beginning: ${name}`, async () => {
      const bytes = await fixture(name);
      const content = Buffer.concat([bytes.subarray(0, 900), noise(50_000, 7)]);
      const result = await transcribe(content).catch((error: InferenceError) => error);
      if ('code' in result) expect(result.code).to.equal('AUDIO_UNREADABLE');
      else expect(result.samples.length).to.be.below(16_000 * 60);
    });
  }

  it('of FLAC is read up to the damage, with a warning', async () => {
    const { readFile } = await import('node:fs/promises');
    const url = new URL('../../../../demo/samples/speech/party.flac', import.meta.url);
    const bytes = new Uint8Array(await readFile(url));
    const { samples, warnings } = await transcribe(bytes.subarray(0, bytes.length / 2));
    expect(samples.length).to.be.within(50_000, 60_000);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain('missing or damaged');
  });

  for (const name of ['speech-44k-stereo.mp3', 'speech-16k-mono.mp3', 'speech-8k-mono.mp3']) {
    it(`of MP3 is read up to its end if truncated, with a warning: ${name}`, async () => {
      const bytes = await fixture(name);
      const whole = await transcribe(bytes);
      expect(whole.warnings).to.deep.equal([]);
      const cut = await transcribe(inParts(bytes.subarray(0, Math.floor(bytes.length / 2) + 5), 1_000));
      expect(cut.samples.length).to.be.within(whole.samples.length * 0.4, whole.samples.length * 0.6);
      expect(cut.warnings).to.have.length(1);
      expect(cut.warnings[0]).to.contain('The MP3 is truncated');
    });

    it(`of MP3 with a tag at its end causes no warning: ${name}`, async () => {
      const tag = Buffer.alloc(128);
      tag.write('TAG');
      expect((await transcribe(Buffer.concat([await fixture(name), tag]))).warnings).to.deep.equal([]);
    });
  }

  it('without its MP4 index is rejected with the reason', async () => {
    const bytes = await fixture('speech-44k-stereo.m4a');
    const error = await refusal(bytes.subarray(0, bytes.length - 2_000));
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('moov');
  });

  it('with missing MP4 frames reports how much is missing', async () => {
    const bytes = await fixture('speech-48k-mono-faststart.m4a');
    const { samples, warnings } = await transcribe(bytes.subarray(0, bytes.length - 3_000));
    expect(samples.length).to.be.within(10_000, 30_000);
    expect(warnings[0]).to.contain('are missing');
  });
});

describe('An audio file that is too long', () => {
  it('is rejected at the first read by its size', async () => {
    const source = await open(wavFile(pcm16(tone(440, 16_000, 3))), { maxSeconds: 2 });
    const error = await rejection(source.read(100));
    expect(error.code).to.equal('AUDIO_TOO_LONG');
    expect(error.message).to.contain('2 s').and.to.contain('3 s');
    await source.close();
  });

  it('may have exactly the limit', async () => {
    const { samples } = await transcribe(wavFile(pcm16(tone(440, 44_100, 2)), { rateHz: 44_100 }), { maxSeconds: 2 });
    expect(samples.length).to.equal(32_000);
  });

  it('is rejected at the limit if it is endless, without reading further', async () => {
    const counted = { parts: 0 };
    const source = await open(endless(counted), { maxSeconds: 20 });
    let samples = 0;
    const reading = (async () => {
      for (let block = await source.read(16_000); block !== null; block = await source.read(16_000)) {
        samples += block.length;
      }
    })();
    expect((await rejection(reading)).code).to.equal('AUDIO_TOO_LONG');
    expect(samples).to.equal(320_000);
    expect(counted.parts).to.be.below(300);
    await source.close();
  });
});

describe('A source', () => {
  it('reads a stream at most a few seconds ahead of its reader', async () => {
    const counted = { parts: 0 };
    const source = await open(endless(counted));
    for (let seconds = 0; seconds < 20; ) {
      seconds += ((await source.read(8_000))?.length ?? 0) / 16_000;
      expect(counted.parts / 10, `after ${seconds} s`).to.be.below(seconds + 8);
    }
    await source.close();
  });

  it('ends the iterator of the stream when closed', async () => {
    let returned = false;
    async function* watched(): AsyncGenerator<Uint8Array> {
      try {
        yield* endless({ parts: 0 });
      } finally {
        returned = true;
      }
    }
    const source = await open(watched());
    await source.close();
    await source.close();
    expect(returned).to.equal(true);
    expect((await rejection(source.read(1))).code).to.equal('CANCELLED');
  });

  it('rejects a waiting read with CANCELLED on abort, even while the stream is idle', async () => {
    const controller = new AbortController();
    async function* stalled(): AsyncGenerator<Uint8Array> {
      yield wavFile(pcm16(tone(440, 48_000, 0.1)), { rateHz: 48_000, dataSize: 0xffff_ffff });
      await new Promise(() => {});
    }
    const source = await open(stalled(), { signal: controller.signal });
    await source.read(48_000);
    const reading = rejection(source.read(1));
    controller.abort();
    expect((await reading).code).to.equal('CANCELLED');
    await source.close();
  });

  it('rejects a single read with CANCELLED on abort, and continues with the next', async () => {
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* gated(): AsyncGenerator<Uint8Array> {
      yield wavFile(pcm16(tone(440, 16_000, 0.1)), { dataSize: 0xffff_ffff });
      await gate;
      yield pcm16(tone(440, 16_000, 0.1));
    }
    const source = await open(gated());
    expect((await source.read(48_000))?.length).to.equal(1_600);
    const controller = new AbortController();
    const reading = rejection(source.read(1, controller.signal));
    controller.abort();
    expect((await reading).code).to.equal('CANCELLED');
    go();
    expect((await source.read(48_000))?.length).to.equal(1_600);
    expect(await source.read(1)).to.equal(null);
    await source.close();
  });

  it('is not opened on abort while no bytes arrive', async () => {
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<Uint8Array> {
      await new Promise(() => {});
    }
    const opening = rejection(open(silent(), { signal: controller.signal }));
    controller.abort();
    expect((await opening).code).to.equal('CANCELLED');
    expect((await rejection(open(silent(), { signal: controller.signal }))).code).to.equal('CANCELLED');
  });

  it('is not opened on abort while the decoder starts', async () => {
    const controller = new AbortController();
    const bytes = await fixture('speech-48k-stereo.opus');
    const opening = rejection(open(bytes, { signal: controller.signal }));
    setImmediate(() => controller.abort());
    expect((await opening).code).to.equal('CANCELLED');
  });

  it("rethrows its stream's error after the samples before it", async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield wavFile(pcm16(tone(440, 16_000, 0.1)), { dataSize: 0xffff_ffff });
      throw new Error('the line is dead');
    }
    const source = await open(failing());
    expect((await source.read(48_000))?.length).to.equal(1_600);
    expect((await rejection(source.read(1))).message).to.equal('the line is dead');
    await source.close();
  });

  it('does not change the content, which can be opened again', async () => {
    const content = Buffer.from(await fixture('speech-48k-stereo.opus'));
    const first = await transcribe(content);
    const second = await transcribe(content);
    expect(second.samples.length).to.equal(first.samples.length);
    expect(content.equals(await fixture('speech-48k-stereo.opus'))).to.equal(true);
  });

  it('leaves only the idle thread for the next audio file', async () => {
    const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
    const before = threads();
    for (const name of FIXTURES.slice(0, 3)) {
      await transcribe(await fixture(name));
      const source = await open(await fixture(name));
      await Promise.all([source.close(), source.close()]);
    }
    expect(threads()).to.be.at.most(before + 1);
  });

  it('returns at most the requested number of samples', async () => {
    const source = await open(wavFile(pcm16(tone(440, 16_000, 1))));
    expect((await source.read(7))?.length).to.equal(7);
    await source.close();
  });
});
