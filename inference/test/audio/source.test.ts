import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { ArrivingSource } from '../../src/media/audio/containers/arriving-source.js';
import { errorOf, rejectionOf } from '../support/rejection.js';
import { fixture, open, transcribe } from './read-audio.js';
import { pcm16, tone, wavFile } from './wav-file.js';

/** A WAV of 48 kHz that never ends. */
async function* endless(counted: { parts: number }): AsyncGenerator<Uint8Array> {
  yield wavFile(pcm16(tone(440, 48_000, 0.1)), { rateHz: 48_000, dataSize: 0xffff_ffff, riffSize: 0xffff_ffff });
  for (;;) {
    counted.parts++;
    yield pcm16(tone(440, 48_000, 0.1));
  }
}

describe('An audio file that is too long', () => {
  it('is rejected at the first read by its size', async () => {
    const source = await open(wavFile(pcm16(tone(440, 16_000, 3))), { maxSeconds: 2 });
    const error = await errorOf(source.read(100));
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
    expect((await errorOf(reading)).code).to.equal('AUDIO_TOO_LONG');
    expect(samples).to.equal(320_000);
    expect(counted.parts).to.be.below(300);
    await source.close();
  });
});

describe('The bytes of a container', () => {
  it('answer each of the reads that wait at once, as a demuxer looks for the beginnings of several tracks', async () => {
    const source = new ArrivingSource({ openingMaxBytes: 100, beyondOpening: 'none' });
    const answers: (readonly number[])[] = [];
    for (const end of [2, 2, 4, 5])
      source.read(1, end).then(
        (bytes) => answers.push([...(bytes ?? [])]),
        () => undefined,
      );
    source.push(Uint8Array.of(1, 2, 3));
    await nextTurn();
    expect(answers).to.deep.equal([[2], [2]]);
    expect(source.starved).to.equal(true);
    source.push(Uint8Array.of(4));
    source.end();
    await nextTurn();
    expect(answers).to.deep.equal([[2], [2], [2, 3, 4], []]);
    expect(source.starved).to.equal(false);
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
    expect((await errorOf(source.read(1))).code).to.equal('CANCELLED');
  });

  it('rejects a waiting read with CANCELLED on abort, even while the stream is idle', async () => {
    const controller = new AbortController();
    async function* stalled(): AsyncGenerator<Uint8Array> {
      yield wavFile(pcm16(tone(440, 48_000, 0.1)), { rateHz: 48_000, dataSize: 0xffff_ffff });
      await new Promise(() => {});
    }
    const source = await open(stalled(), { signal: controller.signal });
    await source.read(48_000);
    const reading = errorOf(source.read(1));
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
    const reading = errorOf(source.read(1, controller.signal));
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
    const opening = errorOf(open(silent(), { signal: controller.signal }));
    controller.abort();
    expect((await opening).code).to.equal('CANCELLED');
    expect((await errorOf(open(silent(), { signal: controller.signal }))).code).to.equal('CANCELLED');
  });

  it('is not opened on abort while the decoder starts', async () => {
    const controller = new AbortController();
    const bytes = await fixture('speech-48k-stereo.opus');
    const opening = errorOf(open(bytes, { signal: controller.signal }));
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
    expect((await rejectionOf(source.read(1), Error)).message).to.equal('the line is dead');
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
    for (const name of ['speech-48k-mono.flac.ogg', 'speech-44k-stereo.mp3', 'speech-48k-stereo.vorbis.ogg']) {
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
