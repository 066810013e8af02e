import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createInferenceClient, type InferenceClient } from '@heimdex/client';
import { expect } from 'chai';
import { mp4File } from '../audio/mp4-file.js';
import { needsFfmpeg } from '../audio/read-audio.js';
import { pcm16 } from '../audio/wav-file.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';
import { inChunks, streamed, unary } from '../fixtures/streamed-audio.js';
import { ROOT } from '../fixtures/volume.js';
import { joined, plainWords, samplesOf } from '../support/speech.js';

const FIXTURES = join(ROOT, 'inference/test/audio/fixtures');
const CASES = join(ROOT, 'inference/test/audio/cases');
const DEMO = join(ROOT, 'demo/samples/speech');
const HEIMDEX = join(ROOT, 'client/bin/heimdex.js');
const RATE = 16_000;

/** An audio file as sent to a server: a file, or derived from one. */
interface AudioFile {
  readonly name: string;
  read(): Promise<Uint8Array>;
  /** Sizes of its chunks, in turn. */
  readonly sizes: readonly number[];
}

/** Kinds of files; that each container has the same samples in chunks is tested where they are decoded. */
const KINDS: readonly AudioFile[] = [
  { name: 'speech-44k-stereo.m4a', read: () => readFile(join(FIXTURES, 'speech-44k-stereo.m4a')), sizes: [10] },
  { name: 'party.flac', read: () => readFile(join(DEMO, 'party.flac')), sizes: [1, 40_990, 7, 64 * 1024, 1000] },
  {
    name: 'an MP3 without its end',
    read: async () => (await readFile(join(FIXTURES, 'speech-44k-stereo.mp3'))).subarray(0, 7001),
    sizes: [3, 1],
  },
];

/** The tests of audio files that arrive in chunks at a server of Moonshine whose messages have 16 MiB at most. */
export function testArrivingFiles(served: () => ServedVolume): void {
  let server: ServerProcess;
  let client: InferenceClient;

  before(() => {
    ({ server } = served());
    client = createInferenceClient({ address: server.address });
  });
  after(() => client?.close());

  for (const { name, read, sizes } of KINDS) {
    it(`have the result of the whole file: ${name}`, async () => {
      const bytes = await read();
      const whole = await unary(client, bytes, {});
      expect(await streamed(client, inChunks(bytes, sizes), {})).to.deep.equal(whole);
      if (!name.startsWith('speech-')) expect(whole.text).not.to.equal('');
      expect(whole.warnings.length).to.equal(name.endsWith('without its end') ? 1 : 0);
    });
  }

  it('may be videos larger than the maximum message, in a stream', async () => {
    const samples = await samplesOf(join(DEMO, 'party.flac'));
    const chunks = Array.from({ length: 8 }, (_, index) =>
      Int16Array.from(samples.subarray(index * RATE, (index + 1) * RATE), (sample) => Math.round(sample * 32_767)),
    );
    const video = mp4File({ chunks: chunks.filter(({ length }) => length > 0), betweenBytes: 2.5 * 1_048_576 });
    const transcribed = await streamed(client, video, {});
    expect(transcribed.text).to.equal((await unary(client, await readFile(join(DEMO, 'party.flac')), {})).text);
    expect(transcribed.warnings).to.deep.equal([]);
    expect(transcribed.audioTrack).to.include({ index: 0, codec: 'PCM' });
  });

  it('with several audio tracks report the used one, and reject unknown ones', async () => {
    const video = await readFile(join(CASES, 'ac3_first_aac_second.mp4'));
    const answer = await unary(client, video, {});
    expect(answer.warnings).to.have.length(1);
    expect(answer.warnings[0]).to.contain(`${answer.audioTrack?.index} (${answer.audioTrack?.codec})`);
  });

  it('have a warning if the clip begins at their end or later, alone and in a stream', async () => {
    const second = pcm16((await samplesOf(join(DEMO, 'party.flac'))).subarray(0, RATE));
    const raw = { encoding: 'pcm_s16le', sampleRateHz: RATE, channelCount: 1 } as const;
    for (const clipStartSeconds of [1, 1e308]) {
      const warnings = [`options.clip_start_seconds is beyond the audio's end: got ${clipStartSeconds}, it has 1 s.`];
      const options = { raw, clipStartSeconds };
      expect(await unary(client, second, options)).to.deep.include({ text: '', warnings });
      expect(await streamed(client, [second], options)).to.deep.include({ text: '', warnings });
    }
    expect((await unary(client, second, { raw, clipStartSeconds: 0.9 })).warnings).to.deep.equal([]);
  });

  it('are cancelled at their deadline, and the worker serves the next one', async () => {
    const second = pcm16((await samplesOf(join(DEMO, 'party.flac'))).subarray(RATE, 2 * RATE));
    const long = Buffer.concat(Array.from({ length: 480 }, () => second));
    const raw = { encoding: 'pcm_s16le', sampleRateHz: RATE, channelCount: 1 } as const;
    const options = { raw, timeoutMs: 1000, headers: { 'x-request-id': 'late' } };
    // The first large call asks for the server's limits, which would take a part of the deadline.
    await client.transcribe(new Uint8Array(2 ** 20)).catch(() => undefined);
    const error = await client.transcribe(long, options).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'DEADLINE_EXCEEDED' });
    const line = await server.logged(({ call }) => call === 'late');
    expect(line.code).to.be.oneOf(['DEADLINE_EXCEEDED', 'CANCELLED']);
    expect((await unary(client, await readFile(join(DEMO, 'models.flac')), {})).text).to.match(/^every model/i);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).to.match(/^heimdex_queue_items\{model="moonshine".*\} 0$/m);
    expect(metrics).to.not.match(/^heimdex_queue_items\{.*\} [1-9]/m);
  });

  it('are transcribed by the command while they arrive', async () => {
    const said = ['party', 'models', 'search'].map((name) => samplesOf(join(DEMO, `${name}.flac`)));
    const samples = joined((await Promise.all(said)).flatMap((each) => [each, new Float32Array(RATE)]));
    const bytes = pcm16(samples);
    const args = [HEIMDEX, 'transcribe', '-', '-a', server.address, '--raw', 's16le', '--format', 'srt'];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const output = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
    // A window of 15 s and the audio decoded ahead; the pipe stays open.
    child.stdin.write(bytes.subarray(0, 20 * RATE * 2));
    let written = '';
    while (!/saturday/i.test(written)) written += (await output.next()).value ?? '';
    child.stdin.end(bytes.subarray(20 * RATE * 2));
    for (let next = await output.next(); next.done !== true; next = await output.next()) written += next.value;
    expect(written).to.match(/saturday.*without the network.*were seen/is);
    // Three sentences; the long ones are split into cues of two lines.
    expect(written.match(/ --> /g)).to.have.length(5);
  });

  it('are accepted from ffmpeg through a pipe, in containers written without a known end', async function () {
    needsFfmpeg(this);
    const whole = await unary(client, await readFile(join(DEMO, 'models.flac')), {});
    const models = join(DEMO, 'models.flac');
    const command = `ffmpeg -v error -i "$0" -f wav - | "$1" "$2" transcribe - -a "$3"`;
    const { stdout, stderr } = await promisify(execFile)('sh', [
      ...['-c', command, models, process.execPath, HEIMDEX, server.address],
    ]);
    expect([stdout.trim(), stderr]).to.deep.equal([whole.text, '']);
    for (const container of [
      ['-f', 'flac'],
      ['-c:a', 'aac', '-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov'],
    ]) {
      const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-i', models, ...container, '-'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const { text, warnings } = await streamed(client, ffmpeg.stdout, {});
      expect(plainWords(text), container.join(' ')).to.equal(plainWords(whole.text));
      // Lossless: the text is equal to the last comma.
      if (container[0] === '-f') expect(text).to.equal(whole.text);
      expect(warnings, container.join(' ')).to.deep.equal([]);
    }
  });

  it('are read no faster than transcribed, even if endless, and can be cancelled', async () => {
    const second = pcm16((await samplesOf(join(DEMO, 'party.flac'))).subarray(RATE, 2 * RATE));
    let sentSeconds = 0;
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield second;
          sentSeconds += 1;
        }
      } finally {
        closed = true;
      }
    }
    const raw = { encoding: 'pcm_s16le', sampleRateHz: RATE, channelCount: 1 } as const;
    const options = { raw, temperatures: [0], headers: { 'x-request-id': 'endless' } };
    let windows = 0;
    for await (const event of client.transcribeStream(endless(), options)) {
      if (event.type !== 'progress') continue;
      // A window, the audio decoded ahead, and 2 MiB in flight on both sides.
      expect(sentSeconds - event.processedSeconds).to.be.below(30 + 10 + 2 * 65);
      windows += 1;
      if (windows === 3) break;
    }
    const line = await server.logged((entry) => entry.call === 'endless');
    expect(line.code).to.equal('CANCELLED');
    expect(closed).to.equal(true);
    expect((await unary(client, await readFile(join(DEMO, 'models.flac')), {})).text).to.match(/^every model/i);
  });
}
