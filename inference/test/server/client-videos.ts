import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createInferenceClient,
  type InferenceClient,
  type Segment,
  type TranscribeEvent,
  type TranscribeOptions,
} from '@heimdex/client';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { mp4File } from '../audio/mp4-file.js';
import { type CountingProxy, startCountingProxy } from '../fixtures/counting-proxy.js';
import { writeNoiseVideo } from '../fixtures/noise-video.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import { ROOT } from '../fixtures/volume.js';
import { samplesOf } from '../support/speech.js';

const CASES = join(ROOT, 'inference/test/audio/cases');
const HEIMDEX = join(ROOT, 'client/bin/heimdex.js');

/** A response without the parts that differ between calls. */
async function answerOf(events: AsyncIterable<TranscribeEvent>) {
  const segments: Segment[] = [];
  for await (const event of events) {
    if (event.type === 'segment') segments.push(event.segment);
    if (event.type !== 'summary') continue;
    const { timing, ...summary } = event.summary;
    return { segments, summary };
  }
  throw new Error('expected a summary');
}

/** The tests of videos that the client reads from the disk for a server of Moonshine. */
export function testClientVideos(served: () => ServedVolume): void {
  let dir: string;
  let proxy: CountingProxy;
  let client: InferenceClient;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-videos-'));
    proxy = await startCountingProxy(served().server.address);
    client = createInferenceClient({ address: proxy.address });
  });
  after(async () => {
    client?.close();
    proxy?.close();
    await rm(dir, { recursive: true });
  });

  const sentFor = async (work: () => Promise<unknown>): Promise<number> => {
    const before = proxy.sentBytes;
    await work();
    return proxy.sentBytes - before;
  };

  for (const [name, options] of [
    ['fragmented_video_loses_end.mp4', {}],
    ['audio_starts_2s_late.mp4', {}],
    ['video_opus_in.mp4', {}],
    ['quicktime_aac.mov', {}],
    ['quicktime_pcm.mov', {}],
    ['video_h264_aac.mkv', {}],
    ['video_vp8_opus.webm', {}],
    ['video_h264_aac.mpegts', {}],
    ['ac3_first_aac_second.mp4', {}],
    ['ac3_first_aac_second.mp4', { audioTrack: 1 }],
  ] as readonly (readonly [string, TranscribeOptions])[]) {
    it(`have the result of the whole file with fewer bytes: ${name} ${JSON.stringify(options)}`, async () => {
      const path = join(CASES, name);
      const whole = await answerOf(client.transcribeStream(createReadStream(path), options));
      let video: unknown;
      const sent = await sentFor(async () => {
        video = await answerOf(client.transcribeFile(path, options));
      });
      expect(whole.segments).to.not.be.empty;
      expect(video).to.deep.equal(whole);
      expect(sent).to.be.below((await stat(path)).size);
    });
  }

  it('send only their audio, for any video', async () => {
    const path = join(dir, 'junk.mp4');
    await writeNoiseVideo(path, join(CASES, 'quicktime_aac.mov'), { imageBytes: 2 * MIB, repeats: 2 });
    const whole = await answerOf(client.transcribeStream(createReadStream(path), {}));
    let video: unknown;
    const sent = await sentFor(async () => {
      video = await answerOf(client.transcribeFile(path));
    });
    expect((await stat(path)).size).to.be.above(2 * MIB);
    expect(sent).to.be.below(100_000);
    expect(video).to.deep.equal(whole);
    const heimdex = [HEIMDEX, 'transcribe', path, '--address', proxy.address];
    const byCommand = await sentFor(() => promisify(execFile)(process.execPath, heimdex));
    expect(byCommand).to.be.below(100_000);
  });

  it('are edited by an edit list with several entries', async () => {
    const samples = Int16Array.from(
      await samplesOf(join(ROOT, 'inference/test/audio/fixtures/speech-16k-mono.mp3')),
      (value) => value * 32_767,
    );
    const chunks = Array.from({ length: Math.ceil(samples.length / 8_000) }, (_, index) =>
      samples.slice(index * 8_000, (index + 1) * 8_000),
    );
    const edits = [
      { ms: 300, mediaSample: -1 },
      { ms: 1_500, mediaSample: 1_000 },
      { ms: 700, mediaSample: -1 },
      { ms: 200, mediaSample: 28_000 },
    ];
    const path = join(dir, 'edits.mov');
    await writeFile(path, Buffer.concat([...mp4File({ chunks, betweenBytes: MIB, edits })]));
    const whole = await answerOf(client.transcribeStream(createReadStream(path), {}));
    let video: unknown;
    const sent = await sentFor(async () => {
      video = await answerOf(client.transcribeFile(path));
    });
    expect(whole.summary.durationSeconds).to.be.closeTo(2.7, 0.001);
    expect(video).to.deep.equal(whole);
    expect(sent).to.be.below(MIB);
  });

  it('whose media begins before their edit list have the result of the whole file', async () => {
    const speech = await samplesOf(join(ROOT, 'inference/test/audio/fixtures/speech-16k-mono.mp3'));
    const chunks = [0, 16_000].map((from) =>
      Int16Array.from(speech.subarray(from, from + 16_000), (value) => value * 32_767),
    );
    const edits = [{ ms: 1_500, mediaSample: 0 }];
    const path = join(dir, 'early.mov');
    const options = { chunks, betweenBytes: MIB, packets: true, compositionOffset: -8_000, edits };
    await writeFile(path, Buffer.concat([...mp4File(options)]));
    const whole = await answerOf(client.transcribeStream(createReadStream(path), {}));
    expect(whole.summary.durationSeconds).to.be.closeTo(1.5, 0.001);
    expect(await answerOf(client.transcribeFile(path))).to.deep.equal(whole);
  });

  it('that are damaged have the result of the whole file', async () => {
    const transport = await readFile(join(CASES, 'video_h264_aac.mpegts'));
    transport.fill(0x55, 20_000, 20_500);
    const cut = (await readFile(join(CASES, 'fragmented_video_loses_end.mp4'))).subarray(0, 50_000);
    for (const [name, bytes] of [
      ['damaged.ts', transport],
      ['cut.mp4', cut],
    ] as const) {
      const path = join(dir, name);
      await writeFile(path, bytes);
      const whole = await answerOf(client.transcribeStream([bytes], {}));
      expect(whole.summary.warnings, name).to.not.be.empty;
      expect(await answerOf(client.transcribeFile(path)), name).to.deep.equal(whole);
    }
  });

  it('are sent unchanged without video', async () => {
    const path = join(CASES, 'audio_gap_4s.mp4');
    const sent = await sentFor(() => answerOf(client.transcribeFile(path)));
    expect(sent).to.be.at.least((await stat(path)).size);
  });

  it('list their tracks for an unknown one, and send nothing', async () => {
    const path = join(CASES, 'ac3_first_aac_second.mp4');
    const said = async (events: AsyncIterable<TranscribeEvent>) => {
      try {
        await answerOf(events);
      } catch (error) {
        const { code, reason, message, field } = error as Record<string, unknown>;
        return { code, reason, message, field };
      }
      throw new Error('expected an error');
    };
    const options = { audioTrack: 7 };
    // Beside the proxy, which would count what ends its stream later.
    const direct = createInferenceClient({ address: served().server.address });
    const whole = await said(direct.transcribeStream(createReadStream(path), options));
    direct.close();
    expect(whole).to.include({ code: 'INVALID_ARGUMENT', field: 'options.audio_track' });
    let video: unknown;
    const sent = await sentFor(async () => {
      video = await said(client.transcribeFile(path, options));
    });
    expect(video).to.deep.equal(whole);
    expect(sent).to.equal(0);
  });
}
