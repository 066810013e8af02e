/** A local hub with the API of the Hugging Face hub. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { handleCdn } from './cdn-routes.js';
import { repositoriesIn } from './dirs.js';
import { type Fault, FaultList } from './faults.js';
import { handleHub } from './hub-routes.js';
import type { Commit, HubRepository } from './repository.js';
import { RequestLog } from './request-log.js';
import { LinkSigner } from './signed-link.js';
import { RepositoryStore } from './store.js';

export interface HubOptions {
  /** Directories in hub layout, `<directory>/<org>/<name>/...`. */
  readonly dirs?: readonly string[];
  /** Repositories from files and bytes; one with a name from `dirs` becomes a later commit of it. */
  readonly repositories?: readonly HubRepository[];
  /** Port. Default 0: any free port. */
  readonly port?: number;
  /** Host. Default 127.0.0.1. */
  readonly host?: string;
  /** Token with access to private and gated repositories. Default: none. */
  readonly token?: string;
  /** Valid tokens that have accepted no licence: 403 from gated repositories. */
  readonly strangerTokens?: readonly string[];
  /** Page size of the file list. Default 1000, as the real hub. */
  readonly pageSize?: number;
  /** Lifetime of a signed URL. Default: one hour. */
  readonly linkLifetimeMs?: number;
  /** Clock for signed URLs, in ms. Default Date.now. */
  readonly now?: () => number;
  readonly faults?: readonly Fault[];
}

/** A running hub. */
export interface Hub {
  /** Value for HF_ENDPOINT. */
  readonly url: string;
  /** URL of the second server, to which large files are redirected. */
  readonly cdnUrl: string;
  readonly requests: RequestLog;
  readonly faults: FaultList;
  /** Names of all repositories. */
  readonly names: () => readonly string[];
  /** Returns the current commit of a revision, by default `main`. Throws if there is none. */
  commit(name: string, revision?: string): Commit;
  /** Publishes a new commit and moves its branch, by default `main`, like a push. */
  publish(repository: HubRepository): Promise<Commit>;
  /** Closes both servers and every connection. Idempotent. */
  close(): Promise<void>;
}

/** Starts a hub. Rejects if a directory cannot be read or the port is in use. */
export async function startHub(options: HubOptions = {}): Promise<Hub> {
  const store = new RepositoryStore();
  for (const dir of options.dirs ?? []) {
    for (const repository of await repositoriesIn(dir)) await store.publish(repository);
  }
  for (const repository of options.repositories ?? []) await store.publish(repository);

  const stop = new AbortController();
  const faults = new FaultList(options.faults);
  const log = new RequestLog();
  const signer = new LinkSigner(options.linkLifetimeMs ?? 3_600_000, options.now ?? Date.now);
  const host = options.host ?? '127.0.0.1';
  const shared = { faults, log, signal: stop.signal, store, signer };
  const urls = { cdn: '' };
  const cdn = serve((request, response) => handleCdn(request, response, { ...shared, server: 'cdn' }));
  const hub = serve((request, response) =>
    handleHub(request, response, {
      ...shared,
      server: 'hub',
      cdnUrl: () => urls.cdn,
      token: options.token,
      strangerTokens: options.strangerTokens ?? [],
      pageSize: options.pageSize,
    }),
  );
  // The storage of the real hub has another name too, by which huggingface_hub 1.x distinguishes the two.
  urls.cdn = await listen(cdn, host, 0, host === '127.0.0.1' ? 'localhost' : host);
  let url: string;
  try {
    url = await listen(hub, host, options.port ?? 0, host);
  } catch (error) {
    await end(cdn);
    throw error;
  }

  let closing: Promise<void> | undefined;
  return {
    url,
    cdnUrl: urls.cdn,
    requests: log,
    faults,
    names: () => store.names(),
    commit(name, revision = 'main') {
      const repository = store.get(name);
      const commit = repository && store.commit(repository, revision);
      if (commit === undefined) throw new Error(`The hub has no ${name} at ${revision}`);
      return commit;
    },
    publish: (repository) => store.publish(repository),
    close() {
      closing ??= (async () => {
        stop.abort();
        await Promise.all([end(hub), end(cdn)]);
      })();
      return closing;
    },
  };
}

function serve(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Server {
  return createServer((request, response) => {
    handle(request, response).catch(() => {
      // Disconnected client, closing hub or deleted file: closing the connection reports it.
      response.destroy();
    });
  });
}

async function listen(server: Server, host: string, port: number, name: string): Promise<string> {
  server.listen(port, host);
  await once(server, 'listening');
  const { port: chosen } = server.address() as AddressInfo;
  return `http://${name.includes(':') ? `[${name}]` : name}:${chosen}`;
}

async function end(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
