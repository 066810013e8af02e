/** The server's one port and everything that is spoken on it. */
import type { AddressInfo } from 'node:net';
import grpc from '@grpc/grpc-js';
import { FatalError } from '../exit-codes.js';
import type { ServedService } from '../services/service.js';
import { createConnectListener } from './connect.js';
import type { CallDesk } from './desk.js';
import { createGrpcServer } from './grpc.js';
import { createPlainListener, type PlainHttpOptions } from './http.js';
import { listen, type Traffic } from './listener.js';
import { addReflection } from './reflection.js';

const MAX_CONCURRENT_STREAMS = 1000;
const MAX_CONNECTIONS = 4096;

export interface EdgeOptions {
  readonly host: string;
  readonly port: number;
  readonly maxMessageBytes: number;
  readonly services: readonly ServedService[];
  readonly desk: CallDesk;
  readonly plain: PlainHttpOptions;
}

export interface Edge {
  readonly address: AddressInfo;
  /** No new connections from now on; the open ones are told to end after their calls. */
  drain(): void;
  traffic(): Traffic;
  /** Ends all connections, after `graceMs` those with answers under way. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with a FatalError when the address cannot be listened on. */
export async function openEdge(options: EdgeOptions): Promise<Edge> {
  const { services, desk, maxMessageBytes } = options;
  const native = createGrpcServer(services, desk, { maxMessageBytes, maxConcurrentStreams: MAX_CONCURRENT_STREAMS });
  addReflection(native, services);
  const injector = native.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = await listen({
    host: options.host,
    port: options.port,
    maxConnections: MAX_CONNECTIONS,
    http2: (socket) => injector.injectConnection(socket),
    http1: createConnectListener(services, desk, { maxMessageBytes }, createPlainListener(options.plain)),
  }).catch((error: unknown) => {
    throw addressError(options, error);
  });
  let closed: Promise<void> | undefined;
  const drain = () => {
    closed ??= listener.close();
    listener.drain();
  };
  return {
    address: listener.address,
    drain,
    traffic: () => listener.traffic(),
    async close(graceMs) {
      drain();
      injector.drain(graceMs);
      await Promise.race([closed, sleep(graceMs)]);
      listener.destroy();
      native.forceShutdown();
      await closed;
    },
  };
}

function addressError({ host, port }: EdgeOptions, error: unknown): FatalError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is in use. End the program that has it, or set PORT to another port`,
    EACCES: `port ${port} needs more rights. Set PORT to one above 1023`,
    EADDRNOTAVAIL: `this machine has no address ${host}. Set HOST to one it has, or to 0.0.0.0 for all`,
    ENOTFOUND: `the name ${host} is not known. Set HOST to an address of this machine, or to 0.0.0.0 for all`,
  };
  return new FatalError('address', `Cannot listen on ${host}:${port}: ${reasons[code ?? ''] ?? message}.`, {
    cause: error,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
