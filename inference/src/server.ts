/** Assembles the server: model hosts, services and the port listener. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GIB } from '@heimdex/common';
import type { Logger } from 'pino';
import { connectionsWithin, type Machine } from './capacity/machine.js';
import { checkMemory, workerLimitBytes } from './capacity/memory-budget.js';
import { memoryLimitOf, needOf, sizesOf } from './capacity/model-sizes.js';
import type { Config } from './config/config.js';
import { serverDraining } from './errors.js';
import type { FatalError } from './exit-codes.js';
import { createHost, type Host } from './host.js';
import { limitDecoders } from './media/audio/index.js';
import type { ConfiguredModel } from './models/find.js';
import { SPECS } from './models/registry.js';
import type { Role } from './models/roles.js';
import { CoreShare } from './runner/core-share.js';
import { cachedReading, processMemoryBytes } from './runner/memory.js';
import type { ServedModel } from './services/engine.js';
import { refusalOf } from './services/features.js';
import { healthService } from './services/health.js';
import { inferenceService } from './services/inference.js';
import { ServerState } from './services/state.js';
import { Metrics } from './telemetry/metrics.js';
import { openTracing, type Tracing } from './telemetry/tracing.js';
import { openSecurity, type Security } from './transport/auth/security.js';
import { CallAdmission, largestMessageBytes, requestMemoryBytes } from './transport/calls/admission.js';
import { CallTracker } from './transport/calls/call-tracker.js';
import { listenAll, type PortListener } from './transport/listen-all.js';
import { MessageDecoder, messageLimits } from './transport/messages/message-decoder.js';

export interface ServerOptions {
  readonly config: Config;
  readonly models: readonly ConfiguredModel[];
  readonly machine: Machine;
  readonly log: Logger;
  /** Path of the worker program. Default: WORKER_PROGRAM. */
  readonly workerProgram?: string;
  /** Called on a fatal error. */
  failed(error: FatalError): void;
}

export interface Server {
  readonly address: AddressInfo;
  readonly state: ServerState;
  /** Resolves when the server is healthy for the first time. */
  readonly warm: Promise<void>;
  /** Reports NOT_SERVING, waits for calls in progress up to the drain limit, then closes everything. Idempotent. */
  close(): Promise<void>;
  /** Closes without grace or drain: calls in progress fail with UNAVAILABLE. */
  abort(): Promise<void>;
}

/** Time to flush responses and GOAWAY frames before connections are closed. */
const FLUSH_MS = 500;

/** Starts listening, then loads the models. Rejects with a FatalError if listening fails or the models do not fit into memory. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, log, machine } = options;
  const metrics = new Metrics();
  const models = new Map<Role, ServedModel>();
  const state = new ServerState(models);
  const memoryLimitBytes = memoryLimitOf(config, machine);
  limitDecoders(memoryLimitBytes, machine.cores);
  const hosts = createHosts(options, { metrics, memoryLimitBytes, changed: () => state.update() });
  for (const { served } of hosts) models.set(served.role, served);
  const serverMemoryBytes = cachedReading(() => processMemoryBytes(process.pid));
  const memoryBytes = async () => {
    const sizes = await Promise.all(hosts.map(({ served }) => served.memoryBytes()));
    return sizes.reduce((sum, bytes) => sum + bytes, await serverMemoryBytes());
  };
  const tracing = config.tracing && (await openTracing(config.tracing, log));
  const callTracker = new CallTracker(log, (call) => {
    metrics.ended(call);
    tracing?.ended(call);
  });
  const security = await openSecurity(config.security, log);
  const requestBytes = requestMemoryBytes(memoryLimitBytes);
  const { maxMessageBytes, maxConnections } = limitsWithin(options, requestBytes);
  const limits = { ...config.limits, maxMessageBytes };
  const admission = new CallAdmission({
    callTracker,
    tokens: security.tokens,
    memoryBytes: requestBytes,
    maxMessageBytes,
    refused: (priority) => metrics.refused(priority),
    overload: (path, priority) => refusalOf(models, path, priority),
    refusing: (reason) => {
      if (reason === undefined) log.info('calls are admitted again');
      else log.error({ reason }, 'all calls are refused');
      state.refuse(reason);
    },
  });
  const portListener = await listenAll({
    host: config.host,
    port: config.port,
    maxMessageBytes,
    services: [inferenceService(models, limits), healthService(state)],
    callTracker,
    admission,
    decoder: new MessageDecoder(messageLimits(limits)),
    tls: security.tls,
    corsOrigins: config.security.corsOrigins,
    streamIdleMs: config.limits.streamIdleMs,
    maxConnectionAgeMs: config.security.maxConnectionAgeMs,
    maxConnections,
    playground: config.playground,
    openAi: config.openAi ? models : undefined,
    plain: {
      state,
      device: config.device,
      log,
      memoryBytes,
      metrics: () => metrics.read(),
    },
  });
  metrics.watch({
    models: hosts,
    requestsInProgress: () => callTracker.busy,
    traffic: () => portListener.traffic(),
    serverMemoryBytes,
    memoryLimitBytes,
    certificateExpiresAtMs: security.tls?.expiresAtMs,
  });
  const warm = firstHealthy(state);
  for (const host of hosts) host.start();
  // Only after the first workers are ready: starting two per model takes twice as long on the same cores.
  void warm.then(() => {
    for (const host of hosts) host.grow();
  });

  const running: Running = { log, state, callTracker, portListener, hosts, security, tracing };
  let closing: Promise<void> | undefined;
  const closeOnce = (shutdown: Config['shutdown']) => {
    closing ??= closeAll(running, shutdown);
    return closing;
  };
  return {
    address: portListener.address,
    state,
    warm,
    close: () => closeOnce(config.shutdown),
    abort: () => closeOnce({ graceMs: 0, drainMs: 0 }),
  };
}

/** What a running server consists of. */
interface Running {
  readonly log: Logger;
  readonly state: ServerState;
  readonly callTracker: CallTracker;
  readonly portListener: PortListener;
  readonly hosts: readonly Host[];
  readonly security: Security;
  readonly tracing: Tracing | undefined;
}

/** Reports NOT_SERVING for `graceMs`, waits up to `drainMs` for the calls in progress, then closes everything. */
async function closeAll(running: Running, { graceMs, drainMs }: Config['shutdown']): Promise<void> {
  const { log, state, callTracker, portListener, hosts, security, tracing } = running;
  state.drain();
  if (graceMs > 0) await sleep(graceMs);
  callTracker.drain();
  portListener.drain();
  await callTracker.idle(AbortSignal.timeout(drainMs));
  const draining = serverDraining();
  if (callTracker.busy > 0) {
    log.warn({ calls: callTracker.busy }, 'calls did not finish within SHUTDOWN_DRAIN_SECONDS and are ended');
    callTracker.abort(draining);
    await callTracker.idle(AbortSignal.timeout(FLUSH_MS));
  }
  for (const { served } of hosts) served.modelQueue.close(draining);
  await portListener.close(FLUSH_MS);
  security.close();
  await tracing?.close();
  await Promise.all(hosts.map((host) => host.close()));
}

/** A host for each model, not started, with workers and threads. Throws a FatalError if the models do not fit into memory. */
function createHosts(
  options: ServerOptions,
  shared: { readonly metrics: Metrics; readonly memoryLimitBytes: number; changed(): void },
): readonly Host[] {
  const { models, config, machine, log, workerProgram, failed } = options;
  const { metrics, memoryLimitBytes, changed } = shared;
  const sizes = sizesOf(models, config, machine);
  const sized = models.flatMap((model) => {
    const size = sizes.get(model.role);
    return size === undefined ? [] : [{ model, size, need: needOf(model, config) }];
  });
  checkMemory(
    sized.map(({ model, size, need }) => ({ name: model.files.id, workers: size.workers, need })),
    memoryLimitBytes,
  );
  const memoryGb = Math.round((memoryLimitBytes / GIB) * 10) / 10;
  log.info({ cores: machine.cores, memoryGb }, 'sizing workers by the machine');
  const cores = new CoreShare(machine.cores);
  return sized.map(({ model, size, need }) => {
    const maxWorkerBytes = workerLimitBytes(need, config.worker.memoryLimitBytes, memoryLimitBytes);
    const observer = metrics.modelQueue(SPECS[model.family].healthName(model.files.id));
    return createHost(model, { config, log, size, cores, workerProgram, maxWorkerBytes, observer, changed, failed });
  });
}

/** Returns the configured limits, lowered to what the machine allows, with a warning. */
function limitsWithin({ config, machine, log }: ServerOptions, requestBytes: number) {
  const maxMessageBytes = largestMessageBytes(config.limits.maxMessageBytes, requestBytes);
  if (maxMessageBytes < config.limits.maxMessageBytes) {
    const fields = { setBytes: config.limits.maxMessageBytes, maxMessageBytes };
    log.warn(fields, 'MAX_MESSAGE_MIB exceeds the available memory; the limit is lowered');
  }
  const maxConnections = connectionsWithin(machine, config.security.maxConnections);
  if (maxConnections < config.security.maxConnections) {
    const fields = { set: config.security.maxConnections, maxConnections, openFiles: machine.openFiles };
    log.warn(fields, 'MAX_CONNECTIONS exceeds the limit of open files (ulimit -n); it is lowered');
  }
  return { maxMessageBytes, maxConnections };
}

async function firstHealthy(state: ServerState): Promise<void> {
  while (state.report().status !== 'healthy') await once(state.changes, 'change');
}
