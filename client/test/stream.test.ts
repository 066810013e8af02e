import { createReadStream } from 'node:fs';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { Timestamps, type TranscribeStreamRequest, TranscribeStreamResponseSchema } from '@heimdex/gen';
import { expect } from 'chai';
import {
  createInferenceClient,
  type InferenceClient,
  type TranscribeEvent,
  type TranscribeOptions,
} from '../src/index.js';
import { closedAfterEach } from './support/closed-after-each.js';
import { connected } from './support/connected.js';
import { failureOf } from './support/failure-of.js';
import { deferred, failure } from './support/fake-service.js';
import { finish, type SpeechCall, send, startSpeechService } from './support/speech-service.js';
import { withTimeout } from './support/with-timeout.js';

describe('a stream of speech', () => {
  const open = closedAfterEach();

  async function clientOf(transcribeStream: (call: SpeechCall) => void): Promise<InferenceClient> {
    const { address } = open(await startSpeechService(transcribeStream));
    return open(createInferenceClient({ address, retry: { initialDelayMs: 1 } }));
  }

  it('passes over a kind of event that a later server sends', async () => {
    const client = await clientOf((call) => {
      call
        .on('data', () => undefined)
        .on('end', () => {
          const later = [{ no: 15, wireType: 2, data: Uint8Array.of(1, 0) }];
          call.write(Object.assign(create(TranscribeStreamResponseSchema), { $unknown: later }));
          finish(call);
        });
    });
    const events = await collect(client.transcribeStream([new Uint8Array(9)]));
    expect(events.map(({ type }) => type)).to.deep.equal(['summary']);
  });

  it('sends the options first, then the audio in bounded chunks, and yields events in order', async () => {
    const sent: TranscribeStreamRequest['message'][] = [];
    const client = await clientOf((call) => {
      call.on('data', ({ message }: TranscribeStreamRequest) => sent.push(message));
      call.on('end', () => {
        send(call, { case: 'segment', value: { id: 0, text: ' Hello.' } });
        sendProgress(call, 1.5);
        finish(call);
      });
    });
    const audio = new Uint8Array(150_000).map((_, index) => index);
    const events = await collect(
      client.transcribeStream([audio, audio.subarray(0, 3)], { language: 'en', timestamps: 'word' }),
    );
    expect(events.map(({ type }) => type)).to.deep.equal(['segment', 'progress', 'summary']);
    expect(events[0]).to.deep.include({ type: 'segment' }).and.to.have.nested.property('segment.text', ' Hello.');
    expect(events[2]).to.have.nested.property('summary.model.id', '');
    const [start, ...chunks] = sent;
    expect(start?.case === 'start' && start.value.options).to.deep.include({
      language: 'en',
      timestamps: Timestamps.WORD,
    });
    expect(chunks.map((chunk) => chunk.case === 'audio' && chunk.value.byteLength)).to.deep.equal([
      65_536, 65_536, 18_928, 3,
    ]);
    const received = Buffer.concat(chunks.map((chunk) => (chunk.case === 'audio' ? chunk.value : new Uint8Array())));
    expect(received.equals(Buffer.concat([audio, audio.subarray(0, 3)]))).to.equal(true);
  });

  it('sends each chunk as it was when it was read: a source may use one buffer for all', async () => {
    const sent: TranscribeStreamRequest['message'][] = [];
    const client = await clientOf((call) => {
      call.on('data', ({ message }: TranscribeStreamRequest) => sent.push(message)).on('end', () => finish(call));
    });
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    await collect(
      client.transcribeStream(
        (function* () {
          const buffer = Buffer.alloc(1);
          for (const number of numbers) yield buffer.fill(number);
        })(),
      ),
    );
    expect(sent.flatMap((chunk) => (chunk.case === 'audio' ? [...chunk.value] : []))).to.deep.equal(numbers);
  });

  it('is cancelled on the server when its reader leaves the loop', async () => {
    const cancelled = deferred();
    const client = await clientOf((call) => {
      call.on('cancelled', () => cancelled.resolve());
      sendProgress(call, 1);
    });
    for await (const event of client.transcribeStream(endless(() => undefined))) {
      expect(event).to.deep.equal({ type: 'progress', processedSeconds: 1 });
      break;
    }
    await cancelled.promise;
  });

  it('reads the audio no faster than the server accepts it', async () => {
    let chunks = 0;
    const client = await clientOf((call) => {
      call.pause();
    });
    const controller = new AbortController();
    const audio = endless(() => {
      chunks += 1;
    });
    const failed = failureOf(collect(client.transcribeStream(audio, { signal: controller.signal })));
    for (let seen = -1, still = 0; still < 500 || chunks === 0; still = chunks === seen ? still + 1 : 0) {
      seen = chunks;
      await turn();
    }
    controller.abort();
    expect(await failed).to.include({ code: 'CANCELLED', reason: 'ABORTED' });
    expect(chunks * 65_536).to.be.below(16 * 1024 * 1024);
  });

  it('fails with the cause when the audio cannot be read', async () => {
    const client = await clientOf((call) => call.resume());
    const error = await failureOf(collect(client.transcribeStream(broken())));
    expect(error).to.include({
      code: 'CANCELLED',
      reason: 'SOURCE_FAILED',
      message: 'the audio could not be read: disk gone',
    });
    expect(error.cause).to.have.property('message', 'disk gone');
    const notOpened = await failureOf(
      collect(
        client.transcribeStream(() => {
          throw new Error('no microphone');
        }),
      ),
    );
    expect(notOpened).to.include({ reason: 'SOURCE_FAILED', message: 'the audio could not be read: no microphone' });
  });

  it('closes its source if the call fails before it reads it', async () => {
    const client = await clientOf(() => undefined);
    const sources = () => {
      let isCancelled = false;
      const cancel = () => {
        isCancelled = true;
      };
      const stream = new ReadableStream<Uint8Array>({ cancel });
      const file = createReadStream(fileURLToPath(import.meta.url));
      return { audios: [file, stream], closed: () => [file.destroyed, isCancelled] };
    };
    const failed = async (options: TranscribeOptions, reason: string) => {
      const { audios, closed } = sources();
      for (const audio of audios) {
        const error = await failureOf(collect(client.transcribeStream(audio, options)));
        expect(error.reason).to.equal(reason);
      }
      expect(closed()).to.deep.equal([true, true]);
    };
    await failed({ beamSize: -1 }, 'INVALID_ARGUMENT');
    await failed({ signal: AbortSignal.abort() }, 'ABORTED');
    client.close();
    await failed({}, 'CLOSED');
  });

  it('ends with its own failure alone if its source fails as well', async () => {
    const client = await clientOf(() => undefined);
    const missing = createReadStream('/nowhere.wav');
    const closed = new Promise<void>((resolve) => missing.on('close', resolve));
    const error = await failureOf(collect(client.transcribeStream(missing, { beamSize: -1 })));
    expect(error.field).to.equal('beamSize');
    await closed; // An error without a listener would have ended the process.
  });

  it('refuses chunks that are no bytes, of which nothing would be sent', async () => {
    const client = await clientOf((call) => call.resume());
    for (const [chunks, got] of [
      [['text'], 'String'],
      [new Uint8Array(3), 'Number'],
      [[new Float32Array(3)], 'Float32Array'],
    ] as const) {
      const error = await failureOf(collect(client.transcribeStream(chunks as never)));
      expect(error).to.include({ code: 'INVALID_ARGUMENT', field: 'audio' });
      expect(error.message).to.equal(`audio must be in chunks that are Uint8Arrays, such as Buffers, got ${got}`);
    }
  });

  it('fails at the idle timeout', async () => {
    const client = await clientOf((call) => call.resume());
    await connected(client);
    const error = await failureOf(collect(client.transcribeStream([new Uint8Array(8)], { timeoutMs: 40 })));
    expect(error).to.include({ code: 'DEADLINE_EXCEEDED', reason: 'TIMEOUT' });
  });

  it('does not count pauses of its source towards the idle timeout', async () => {
    const client = await clientOf((call) => {
      call.resume().on('end', () => {
        sendProgress(call, 2);
        finish(call);
      });
    });
    await connected(client);
    async function* pausing(ms: number) {
      yield new Uint8Array(8);
      await pause(ms); // More than the idle timeout; only elapsed time can test this.
    }
    let events: readonly TranscribeEvent[] = [];
    const transcribe = async (timeout: string) => {
      const timeoutMs = Number(timeout) * 1000;
      try {
        events = await collect(client.transcribeStream(pausing(timeoutMs * 1.5), { timeoutMs }));
      } catch (error) {
        expect(error).to.include({ reason: 'TIMEOUT' });
      }
    };
    await withTimeout(transcribe, () => events.length > 0);
    expect(events[0]).to.deep.equal({ type: 'progress', processedSeconds: 2 });
  });

  it('fails where it ends without its summary: it was cut off on the way, and what is missing would go unseen', async () => {
    for (const answers of [false, true]) {
      const client = await clientOf((call) => {
        call.resume().on('end', () => {
          if (answers) sendProgress(call, 1);
          call.end();
        });
      });
      const error = await failureOf(collect(client.transcribeStream([new Uint8Array(8)])));
      expect(error).to.include({ code: 'INTERNAL', reason: 'MALFORMED_ANSWER', attempts: 1 });
      expect(error.message).to.contain('without its summary');
    }
  });

  it('is retried only if the audio can be read again', async () => {
    let calls = 0;
    const client = await clientOf((call) => {
      calls += 1;
      if (calls % 2 === 1) call.emit('error', failure(status.UNAVAILABLE, 'draining', { reason: 'DRAINING' }));
      else call.resume().on('end', () => finish(call));
    });
    const [event] = await collect(client.transcribeStream(() => [new Uint8Array(8)]));
    expect(event?.type).to.equal('summary');
    const error = await failureOf(collect(client.transcribeStream([new Uint8Array(8)])));
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'DRAINING', attempts: 1 });
    expect(calls).to.equal(3);
  });

  it("throws the server's error after the preceding segments, with the number of attempts", async () => {
    let calls = 0;
    const client = await clientOf((call) => {
      calls += 1;
      if (calls === 1) {
        call.emit('error', failure(status.UNAVAILABLE, 'draining', { reason: 'DRAINING' }));
        return;
      }
      sendProgress(call, 1);
      call.emit('error', failure(status.INVALID_ARGUMENT, 'not audio', { reason: 'AUDIO_UNREADABLE', field: 'audio' }));
    });
    const events: TranscribeEvent[] = [];
    const error = await failureOf(
      (async () => {
        for await (const event of client.transcribeStream(() => [new Uint8Array(8)])) events.push(event);
      })(),
    );
    expect(error).to.include({
      code: 'INVALID_ARGUMENT',
      reason: 'AUDIO_UNREADABLE',
      field: 'audio',
      attempts: 2,
    });
    expect(events).to.have.length(1);
  });
});

function sendProgress(call: SpeechCall, processedSeconds: number): void {
  send(call, { case: 'progress', value: { processedSeconds } });
}

async function* endless(read: () => void): AsyncGenerator<Uint8Array> {
  for (;;) {
    read();
    yield new Uint8Array(65_536);
  }
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(8);
  throw new Error('disk gone');
}

async function collect(events: AsyncIterable<TranscribeEvent>): Promise<TranscribeEvent[]> {
  const all: TranscribeEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
