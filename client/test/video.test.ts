import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TranscribeStreamRequest } from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClient, type TranscribeEvent } from '../src/index.js';
import { openVideo } from '../src/video/open-video.js';
import { failureOf } from './support/failure-of.js';
import type { FakeService } from './support/fake-service.js';
import { namedPipe } from './support/named-pipe.js';
import { finish, startSpeechService } from './support/speech-service.js';

const CASES = fileURLToPath(new URL('../../../inference/test/audio/cases/', import.meta.url));
const SOURCES = fileURLToPath(new URL('../src/', import.meta.url));
const VIDEO = join(CASES, 'video_h264_aac.mkv');

describe('Files given to transcribeFile', () => {
  let service: FakeService;
  let client: InferenceClient;
  let dir: string;
  let received: Buffer;
  let audioTracks: (number | undefined)[];
  let answers: boolean;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-video-'));
    service = await startSpeechService((call) => {
      const chunks: Uint8Array[] = [];
      call.on('data', ({ message }: TranscribeStreamRequest) => {
        if (message.case === 'audio') chunks.push(message.value);
        else audioTracks.push(message.value?.options?.audioTrack);
      });
      call.on('error', () => undefined);
      call.on('end', () => {
        received = Buffer.concat(chunks);
        if (answers) finish(call, { warnings: ['one'], audioTrack: { index: 0, codec: 'AAC', language: 'eng' } });
      });
    });
    client = createInferenceClient({ address: service.address });
  });
  beforeEach(() => {
    received = Buffer.alloc(0);
    audioTracks = [];
    answers = true;
  });
  after(async () => {
    client.close();
    service.close();
    await rm(dir, { recursive: true });
  });

  async function summaryOf(events: AsyncIterable<TranscribeEvent>) {
    for await (const event of events) if (event.type === 'summary') return event.summary;
    throw new Error('expected a summary');
  }

  for (const [name, reason] of [
    ['index_then_fragments.mp4', 'fragments follow the samples of the index'],
    ['video_vorbis_laced.webm', 'only a decoder knows the times of their frames'],
  ] as const) {
    it(`are sent unchanged if ${reason}`, async () => {
      const path = join(CASES, name);
      await summaryOf(client.transcribeFile(path));
      expect(received.equals(await readFile(path))).to.equal(true);
    });
  }

  for (const name of ['antiphase.m4a', 'adts.aac', 'mp3_rate_change.mp3', 'telephone_gsm.wav', 'chained.opus']) {
    it(`are sent unchanged if they are not videos: ${name}`, async () => {
      await summaryOf(client.transcribeFile(join(CASES, name)));
      expect(received.equals(await readFile(join(CASES, name)))).to.equal(true);
    });
  }

  it('are sent unchanged if they are damaged, empty or raw samples', async () => {
    const video = await readFile(VIDEO);
    const damaged = join(dir, 'damaged.mkv');
    const empty = join(dir, 'empty.mp4');
    await writeFile(damaged, video.subarray(0, 20_000));
    await writeFile(empty, '');
    await summaryOf(client.transcribeFile(damaged));
    expect(received.length).to.equal(20_000);
    await summaryOf(client.transcribeFile(empty));
    expect(received.length).to.equal(0);
    const raw = { encoding: 'pcm_s16le', sampleRateHz: 16_000, channelCount: 1 } as const;
    await summaryOf(client.transcribeFile(VIDEO, { raw }));
    expect(received.equals(video)).to.equal(true);
  });

  for (const name of ['video_vp8_opus.webm', 'fragmented_video_loses_end.mp4']) {
    it(`are sent unchanged if another file follows, as parts of a recording that were joined: ${name}`, async () => {
      const path = join(dir, name);
      const one = await readFile(join(CASES, name));
      await writeFile(path, Buffer.concat([one, one]));
      expect(await openVideo(path, undefined)).to.equal(undefined);
    });
  }

  it('go on where their clock jumps back, as in joined clips of a browser', async () => {
    const path = join(dir, 'live.webm');
    const one = await readFile(join(CASES, 'video_vp8_opus.webm'));
    // A recorder does not know the size of its segment.
    const size = one.indexOf('18538067', 0, 'hex') + 4;
    one.writeUInt8(1, size);
    one.fill(0xff, size + 1, size + 8);
    const read = async (content: Buffer) => {
      await writeFile(path, content);
      const video = await openVideo(path, undefined);
      let bytes = 0;
      for await (const chunk of video?.chunks() ?? []) bytes += chunk.length;
      return { bytes, warnings: video?.warnings };
    };
    const alone = await read(one);
    const joined = await read(Buffer.concat([one, one]));
    expect(joined.bytes / alone.bytes).to.be.closeTo(2, 0.1);
    expect(alone.warnings).to.deep.equal([]);
    expect(joined.warnings).to.deep.equal(["The audio's clock jumps back by 3 s at 2.97 s; the gap was ignored."]);
    // Up to the end of a block after 0.6 s.
    const short = Buffer.from(one.subarray(0, 7_000));
    const cluster = short.indexOf('1f43b675', 0, 'hex') + 4;
    short.writeUIntBE(0x20_0000 + short.length - cluster - 3, cluster, 3);
    const restarted = await read(Buffer.concat([short, one]));
    expect(restarted.bytes / alone.bytes).to.be.closeTo(1.2, 0.1);
    expect(restarted.warnings).to.deep.equal([
      "The audio's clock jumps back by 0.58 s at 0.57 s; the gap was ignored.",
    ]);
  });

  it('are sent without their video if they are an MPEG-TS of several programs, which only the server reads', async () => {
    const path = join(dir, 'programs.mpegts');
    const content = await readFile(join(CASES, 'video_h264_aac.mpegts'));
    const single = await openVideo(join(CASES, 'video_h264_aac.mpegts'), undefined);
    // The list of programs is the second packet.
    content.writeUInt8(content.readUInt8(188 + 7) + 4, 188 + 7);
    content.write('0002e200', 188 + 17, 'hex');
    await writeFile(path, content);
    const bytesOf = async (video: typeof single) => {
      let bytes = 0;
      for await (const chunk of video?.chunks() ?? []) bytes += chunk.length;
      return bytes;
    };
    expect(await bytesOf(await openVideo(path, undefined)))
      .to.equal(await bytesOf(single))
      .and.to.be.within(1, content.length - 1);
  });

  it('are sent unchanged if a Matroska has only unknown elements', async () => {
    const path = join(dir, 'unknown.webm');
    const content = Buffer.from(`1a45dfa3874282847765626d1853806790${'55'.repeat(16)}`, 'hex');
    await writeFile(path, content);
    await summaryOf(client.transcribeFile(path));
    expect(received.equals(content)).to.equal(true);
  });

  it('cause no warning if the writer of an MP4 did not know the duration', async () => {
    const path = join(dir, 'unknown-duration.mp4');
    const content = await readFile(join(CASES, 'video_opus_in.mp4'));
    for (let at = content.indexOf('mdhd'); at >= 0; at = content.indexOf('mdhd', at + 4))
      content.writeUInt32BE(0xffff_ffff, at + 20);
    await writeFile(path, content);
    expect((await summaryOf(client.transcribeFile(path))).warnings).to.deep.equal(['one']);
    expect(received.equals(content)).to.equal(false);
  });

  it('are sent unchanged if they claim millions of samples without bytes for each', async () => {
    const path = join(dir, 'claims.mp4');
    const content = await readFile(join(CASES, 'fragmented_video_loses_end.mp4'));
    // The run of the audio is the second: no lists, and the number of its samples.
    const run = content.indexOf('trun', content.indexOf('trun') + 4) + 4;
    content.writeUInt32BE(1, run);
    content.writeUInt32BE(0xffff_ffff, run + 4);
    await writeFile(path, content);
    await summaryOf(client.transcribeFile(path));
    expect(received.equals(content)).to.equal(true);
  });

  it('are reduced to their audio if all of their samples are in fragments', async () => {
    const path = join(CASES, 'fragmented_video_loses_end.mp4');
    await summaryOf(client.transcribeFile(path));
    expect(received.length).to.be.within(1, (await stat(path)).size - 1);
  });

  it('are reduced to the chosen track of a video, and its index is reported', async () => {
    const path = join(CASES, 'ac3_first_aac_second.mp4');
    const { size } = await stat(path);
    const summary = await summaryOf(client.transcribeFile(path));
    expect(received.length).to.be.below(size);
    expect(audioTracks).to.deep.equal([undefined]);
    expect(summary.audioTrack).to.include({ index: 0 });
    expect(summary.warnings).to.have.length(2);
    expect(summary.warnings[0]).to.match(/2 audio tracks; 0 \(AC-3.*\) was used\. Not used: 1 \(AAC/);
    const other = await summaryOf(client.transcribeFile(path, { audioTrack: 1 }));
    expect(received.length).to.be.below(15_000);
    expect(other.audioTrack).to.include({ index: 1, codec: 'AAC' });
    expect(other.warnings).to.deep.equal(['one']);
  });

  it('are sent unchanged if the track that the server decodes cannot be copied, and name other tracks as the server does', async () => {
    const path = join(dir, 'first_track.mp4');
    const content = await readFile(join(CASES, 'ac3_first_aac_second.mp4'));
    const entry = content.indexOf('ac-3');
    content.write('alac', entry, 'latin1');
    await writeFile(path, content);
    await summaryOf(client.transcribeFile(path));
    expect(received.equals(content)).to.equal(true);
    content.write('mlpa', entry, 'latin1');
    await writeFile(path, content);
    const { warnings } = await summaryOf(client.transcribeFile(path));
    expect(received.length).to.be.below(content.length);
    expect(warnings[0]).to.match(/Not used: 0 \(Dolby TrueHD(, \w+)?\), not supported\./);
  });

  it('may be pipes, which can be opened only once', async function () {
    const path = namedPipe(this, join(dir, 'pipe'));
    const [summary] = await Promise.all([
      summaryOf(client.transcribeFile(path)),
      promisify(execFile)('sh', ['-c', 'cat "$0" > "$1"', VIDEO, path]),
    ]);
    expect(summary.language).to.equal('en');
    expect(received.equals(await readFile(VIDEO))).to.equal(true);
  });

  it('fail with SOURCE_FAILED if they are missing', async () => {
    const missing = join(dir, 'missing.mp4');
    const error = await failureOf(summaryOf(client.transcribeFile(missing)));
    expect(error).to.include({ reason: 'SOURCE_FAILED' });
  });

  it('are closed if they are not read to the end', async function () {
    if (!existsSync('/proc/self/fd')) return this.skip();
    const opened = async () => {
      const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
      return (await Promise.all(links)).includes(VIDEO);
    };
    const chunks = (await openVideo(VIDEO, undefined))?.chunks();
    expect((await chunks?.next())?.value?.length).to.be.above(0);
    expect(await opened()).to.equal(true);
    await chunks?.return();
    while (await opened()) await nextTurn();
  });

  it('stop when the signal fires', async () => {
    answers = false;
    const stop = new AbortController();
    const error = failureOf(summaryOf(client.transcribeFile(VIDEO, { signal: stop.signal })));
    while (audioTracks.length === 0) await nextTurn();
    stop.abort();
    expect(await error).to.include({ code: 'CANCELLED', reason: 'ABORTED' });
  });

  it('load the container library only for videos', async () => {
    const files = (await readdir(SOURCES, { recursive: true })).filter((name) => name.endsWith('.js'));
    const texts = await Promise.all(files.map((name) => readFile(join(SOURCES, name), 'utf8')));
    expect(texts.filter((text) => text.includes("import('mediabunny')"))).to.have.length(1);
    expect(texts.filter((text) => /from ['"]mediabunny['"]/.test(text))).to.deep.equal([]);
  });
});
