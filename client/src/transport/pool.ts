import { hostPort, messageOf } from '@heimdex/common';
import { createError, type InferenceClientError } from '../errors.js';
import type { ServerAddress } from './address.js';
import type { Endpoint } from './endpoint.js';
import type { HealthWatch } from './health-watch.js';

/** Age after which the addresses of a DNS name are refreshed in the background. */
const LOOKUP_FRESH_MS = 30_000;
/** Minimum interval between refreshes caused by failed calls. */
const MIN_LOOKUP_INTERVAL_MS = 1_000;

/** Dependencies of a pool. */
export interface PoolParts {
  readonly addresses: readonly ServerAddress[];
  /** Creates the endpoint for `target`; `name` is the DNS name that resolved to it. */
  connect(target: string, name?: string): Endpoint;
  /** Returns every IP address of a name. */
  lookup(host: string): Promise<readonly string[]>;
  /** Starts watching an endpoint's health. Called only if there are several servers. */
  watch(endpoint: Endpoint): HealthWatch;
  /** Milliseconds of a monotonic clock. */
  now(): number;
}

interface Member {
  readonly endpoint: Endpoint;
  /** The DNS name that resolved to it. */
  readonly name: string | undefined;
  watch: HealthWatch | undefined;
}

/**
 * The servers of a client, selected round robin among the healthy ones. Health is watched only if there are several
 * servers.
 */
export class EndpointPool {
  readonly #parts: PoolParts;
  readonly #members = new Map<string, Member>();
  readonly #names: readonly ServerAddress[];
  #found: Promise<void> | undefined;
  #lookedUpMs = Number.NEGATIVE_INFINITY;
  #turn = 0;
  #closed = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#names = parts.addresses.filter(({ dns }) => dns);
    for (const { dns, target } of parts.addresses) if (!dns) this.#add(target);
    this.#watchSeveral();
  }

  /**
   * Selects the next server. Prefers servers not in `tried`.
   * A promise if DNS names may have to be resolved, which rejects with InferenceClientError UNAVAILABLE if they have no address.
   */
  pick(tried: ReadonlySet<Endpoint> = new Set()): Endpoint | Promise<Endpoint> {
    return this.#names.length > 0 ? this.#resolved().then(() => this.#choose(tried)) : this.#choose(tried);
  }

  #choose(tried: ReadonlySet<Endpoint>): Endpoint {
    const nowMs = this.#parts.now();
    const ranked = this.endpoints.map((endpoint) => ({
      endpoint,
      preference: preference(endpoint.rank(nowMs), tried.has(endpoint)),
    }));
    const best = Math.min(...ranked.map((candidate) => candidate.preference));
    const candidates = ranked.filter((candidate) => candidate.preference === best);
    const chosen = candidates[this.#turn++ % candidates.length];
    if (chosen === undefined) throw noAddress(this.#names);
    return chosen.endpoint;
  }

  /** Records a failed call to this server whose reason may not apply to others. */
  recordFailure(endpoint: Endpoint): void {
    endpoint.recordFailure(this.#parts.now());
    if (this.#names.length > 0) this.#refresh(MIN_LOOKUP_INTERVAL_MS);
  }

  /** Every known server. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#members.values()].map(({ endpoint }) => endpoint);
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    for (const target of [...this.#members.keys()]) this.#remove(target);
  }

  /** Waits for the first look-up of the names; later refreshes run in the background. */
  #resolved(): Promise<void> {
    if (this.#members.size > 0) {
      this.#refresh(LOOKUP_FRESH_MS);
      return Promise.resolve();
    }
    this.#found ??= this.#lookUp().finally(() => {
      this.#found = undefined;
    });
    return this.#found;
  }

  #refresh(olderThanMs: number): void {
    if (this.#found !== undefined || this.#parts.now() - this.#lookedUpMs < olderThanMs) return;
    this.#found = this.#lookUp()
      .catch(() => undefined) // The addresses known so far stay in use.
      .finally(() => {
        this.#found = undefined;
      });
  }

  async #lookUp(): Promise<void> {
    this.#lookedUpMs = this.#parts.now();
    const found = new Map<string, string>();
    const failures = new Map<string, unknown>();
    for (const { host, port } of this.#names) {
      try {
        for (const ip of await this.#lookUpName(host)) found.set(hostPort(ip, port), host);
      } catch (error) {
        failures.set(host, error);
      }
    }
    if (this.#closed) return;
    if (found.size === 0) {
      for (const error of failures.values()) throw error;
      return;
    }
    // A name that fails to resolve keeps its previous addresses.
    for (const [target, { name }] of [...this.#members]) {
      if (name !== undefined && !failures.has(name) && !found.has(target)) this.#remove(target);
    }
    for (const [target, name] of found) if (!this.#members.has(target)) this.#add(target, name);
    this.#watchSeveral();
  }

  async #lookUpName(host: string): Promise<readonly string[]> {
    try {
      return await this.#parts.lookup(host);
    } catch (cause) {
      throw createError('UNAVAILABLE', `${host} cannot be reached: ${messageOf(cause)}`, {
        reason: 'UNREACHABLE',
        address: host,
        cause,
      });
    }
  }

  #add(target: string, name?: string): void {
    this.#members.set(target, { endpoint: this.#parts.connect(target, name), name, watch: undefined });
  }

  #remove(target: string): void {
    const member = this.#members.get(target);
    this.#members.delete(target);
    member?.watch?.stop();
    member?.endpoint.close();
  }

  #watchSeveral(): void {
    if (this.#members.size < 2) return;
    for (const member of this.#members.values()) member.watch ??= this.#parts.watch(member.endpoint);
  }
}

/** Lower is better: healthy, unknown, healthy but tried, unknown but tried, then unhealthy servers. */
function preference(rank: 0 | 1 | 2, tried: boolean): number {
  return (rank === 2 ? 4 : rank) + (tried ? 2 : 0);
}

function noAddress(names: readonly ServerAddress[]): InferenceClientError {
  const hosts = names.map(({ host }) => host).join(', ');
  return createError('UNAVAILABLE', `${hosts} cannot be reached: the name has no address`, {
    reason: 'UNREACHABLE',
    address: hosts,
  });
}
