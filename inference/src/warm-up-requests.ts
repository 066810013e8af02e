/**
 * Warm-up requests: calls through the path of a native gRPC call, while the models load. V8 compiles each function when it first runs, so
 * that a first call takes several times the CPU time of later ones. The requests go to a second gRPC server without a port, whose model is
 * a stand-in: they are neither logged nor counted, and need no token.
 */
import http2, { type ClientHttp2Session } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { EmbedTextRequestSchema, InferenceService, TextModel } from '@heimdex/gen';
import type { Logger } from 'pino';
import type { Config } from './config/config.js';
import { duplexPair } from './duplex-pair.js';
import type { TextItem, VectorResult } from './models/items.js';
import type { Outcome } from './models/model.js';
import { openFramePipe } from './runner/pipe.js';
import type { Executor, ExecutorAnswer } from './scheduling/executor.js';
import { ModelQueue } from './scheduling/model-queue.js';
import type { Models, ServedModel } from './services/engine.js';
import { refusalOf } from './services/features.js';
import { inferenceService } from './services/inference.js';
import { CallAdmission } from './transport/calls/admission.js';
import { CallTracker } from './transport/calls/call-tracker.js';
import { createGrpcServer, plaintextInjector } from './transport/grpc/grpc-server.js';
import { MessageDecoder, messageLimits } from './transport/messages/message-decoder.js';
import { VERSION } from './version.js';

/** The first call of each function takes most of the time: more calls gain little. */
const MAX_CALLS = 16;
/** The models load meanwhile, often on the same cores. */
const MAX_MS = 150;
/** Dimensions of the stand-in's vectors, as of a small embedder. */
const DIMENSIONS = 384;
const MEMORY_BYTES = 64 * 1024 * 1024;
const TEXT = 'A short text, as most searches are.';
/** Compression flag and length: the prefix of a message. */
const HEAD_BYTES = 5;

/**
 * Sends requests one after another until enough are answered, the time is over, or `stop` is aborted. Returns how many were answered.
 * Rejects if one fails.
 */
export async function sendWarmUpRequests(limits: Config['limits'], log: Logger, stop: AbortSignal): Promise<number> {
  const untilMs = performance.now() + MAX_MS;
  const server = openServer(limits, log);
  try {
    let answered = 0;
    while (answered < MAX_CALLS && performance.now() < untilMs && !stop.aborted) {
      await embed(server.session);
      answered += 1;
    }
    return answered;
  } finally {
    await server.close();
  }
}

function openServer(limits: Config['limits'], log: Logger) {
  const { executor, close: closeWorker } = openStandIn();
  const models = modelsOf(executor);
  const callTracker = new CallTracker(log.child({}, { level: 'silent' }));
  const admission = new CallAdmission({
    callTracker,
    tokens: undefined,
    memoryBytes: MEMORY_BYTES,
    maxMessageBytes: MEMORY_BYTES,
    overload: (path) => refusalOf(models, path),
    refusing: () => {},
  });
  const decoder = new MessageDecoder(messageLimits(limits));
  const identity = { version: VERSION, uptimeSeconds: () => 0 };
  const server = createGrpcServer(
    [inferenceService(models, limits, identity)],
    { callTracker, admission, decoder },
    {
      maxMessageBytes: MEMORY_BYTES,
      maxConcurrentStreams: 1,
      maxConnectionAgeMs: 0,
      streamIdleMs: limits.streamIdleMs,
    },
  );
  const [near, far] = duplexPair();
  plaintextInjector(server).injectConnection(far);
  const session = http2.connect('http://localhost', { createConnection: () => near });
  return {
    session,
    async close() {
      session.destroy();
      server.forceShutdown();
      admission.close();
      closeWorker();
      await decoder.close();
    },
  };
}

function modelsOf(executor: Executor<unknown, unknown>): Models {
  const modelQueue = new ModelQueue<unknown, unknown>({
    name: 'warm-up',
    cost: () => 1,
    kind: () => '',
    limits: { maxItems: 1, maxWaitMs: MAX_MS },
    batch: { maxItems: 1, maxCost: 1, maxPadding: 1 },
    now: () => performance.now(),
  });
  modelQueue.addExecutor(executor);
  const model: ServedModel = {
    role: 'text',
    family: 'sentence',
    healthName: 'warm-up',
    files: { id: 'warm-up', revision: '', variant: '', dir: '', weights: {} },
    modelQueue,
    device: 'cpu',
    workers: 1,
    threads: 1,
    batchCost: 1,
    costUnit: 'tokens',
    facts: { dimensions: DIMENSIONS, batching: { shared: false, maxItems: 1, reason: '' } },
    loadSeconds: 0,
    memoryBytes: async () => 0,
  };
  return new Map([['text', model]]);
}

interface StandInRun {
  readonly items: readonly TextItem[];
}

interface StandInResult {
  readonly outcomes: readonly Outcome<VectorResult>[];
}

/** Stands for a worker: its messages go through frames as well. */
function openStandIn(): { readonly executor: Executor<unknown, unknown>; close(): void } {
  const [near, far] = duplexPair();
  let answer: (result: ExecutorAnswer<unknown>) => void = () => {};
  const worker = openFramePipe<StandInResult>(far, {
    message: (message) => {
      const { items } = message as StandInRun;
      worker.send({ outcomes: items.map(() => ({ ok: true, value: vectorResult() })) });
    },
    closed: () => {},
  });
  const pipe = openFramePipe<StandInRun>(near, {
    message: (message) => answer({ outcomes: (message as StandInResult).outcomes, runMs: 0 }),
    closed: () => {},
  });
  const run: Executor<unknown, unknown>['run'] = (items) =>
    new Promise((resolve) => {
      answer = resolve;
      pipe.send({ items: items as readonly TextItem[] });
    });
  return {
    executor: { run },
    close() {
      pipe.close();
      worker.close();
    },
  };
}

function vectorResult(): VectorResult {
  return { vector: new Float32Array(DIMENSIONS).fill(0.1), tokenCount: 1, truncated: false };
}

/** Resolves with the answer's trailers. Rejects without the status OK. */
function embed(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': `/${InferenceService.typeName}/${InferenceService.method.embedText.name}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '10S',
    });
    session.once('error', reject);
    stream.once('error', reject);
    let status: unknown;
    stream.once('trailers', (trailers) => {
      status = trailers['grpc-status'];
    });
    stream.once('close', () => {
      session.off('error', reject);
      if (status === '0') resolve();
      else reject(new Error(`Expected the status OK of a warm-up request, got ${String(status)}.`));
    });
    stream.resume();
    const message = toBinary(
      EmbedTextRequestSchema,
      create(EmbedTextRequestSchema, { texts: [TEXT], model: TextModel.TEXT }),
    );
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(message.byteLength, 1);
    stream.end(Buffer.concat([head, message]));
  });
}
