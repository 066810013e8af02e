/** A local hub with the Hugging Face hub's API: what it serves, where, and what it has been asked. */
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
  /** Repositories put together from files and bytes; one named as in `dirs` is a later commit of it. */
  readonly repositories?: readonly HubRepository[];
  /** Default 0: a free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /**
   * The second server's name in signed addresses. Default `localhost` beside 127.0.0.1, else the host: the real hub's
   * storage has another name, and huggingface_hub 1.x tells the two apart by their names alone.
   */
  readonly cdnHost?: string;
  /** The token that opens private and gated repositories. Default: none does. */
  readonly token?: string;
  /** Tokens that are valid but have accepted no licence: gated repositories answer them 403. */
  readonly strangerTokens?: readonly string[];
  /** Entries of a page of the file list. Default 1000, as the real hub. */
  readonly pageSize?: number;
  /** How long a signed address is good for. Default an hour. */
  readonly linkLifetimeMs?: number;
  /** Clock of the signed addresses, in ms. Default Date.now. */
  readonly now?: () => number;
  readonly faults?: readonly Fault[];
}

/** A hub that runs. */
export interface Hub {
  /** What HF_ENDPOINT is set to. */
  readonly url: string;
  /** The second server, that large files are redirected to. */
  readonly cdnUrl: string;
  readonly requests: RequestLog;
  readonly faults: FaultList;
  /** Names of all repositories. */
  readonly names: () => readonly string[];
  /** The commit a revision stands for now; `main` when none is given. Throws when there is none. */
  commit(name: string, revision?: string): Commit;
  /** Publishes a further commit: its branch (`main` unless told) moves, as when somebody pushes. */
  publish(repository: HubRepository): Promise<Commit>;
  /** Ends both servers and every connection. Idempotent. */
  close(): Promise<void>;
}

/** Starts a hub. Rejects when a directory cannot be read or the port is taken. */
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
  urls.cdn = await listen(cdn, host, 0, options.cdnHost ?? (host === '127.0.0.1' ? 'localhost' : host));
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
      // A client that went away, a hub that closes, a file that vanished: the connection tells it.
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
