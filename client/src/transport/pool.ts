import { InferenceClientError } from '../errors.js';
import type { ServerAddress } from './address.js';
import type { Endpoint } from './endpoint.js';
import type { HealthWatch } from './health-watch.js';

/** How long the addresses of a DNS name are used before they are looked up again in the background. */
const LOOKUP_FRESH_MS = 30_000;
/** After a failed call the name is looked up again, but not more often than this. */
const LOOKUP_MIN_MS = 1_000;

/** What a pool is made of. */
export interface PoolParts {
  readonly addresses: readonly ServerAddress[];
  /** Makes the connection to `target`; `name` is the DNS name it was found under. */
  connect(target: string, name?: string): Endpoint;
  /** Every IP address of a name. */
  lookup(host: string): Promise<readonly string[]>;
  /** Starts to watch an endpoint's health. Called only while there are several servers. */
  watch(endpoint: Endpoint): HealthWatch;
  /** Milliseconds since the epoch. */
  now(): number;
}

interface Member {
  readonly endpoint: Endpoint;
  /** The DNS name it was found under. */
  readonly name: string | undefined;
  watch: HealthWatch | undefined;
}

/**
 * The servers a client may send to, and whose turn it is: round robin over those that say they serve, by their health
 * service. With one server nothing is watched.
 */
export class EndpointPool {
  readonly #parts: PoolParts;
  readonly #members = new Map<string, Member>();
  readonly #names: readonly ServerAddress[];
  #found: Promise<void> | undefined;
  #lookedUpMs = 0;
  #turn = 0;
  #closed = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#names = parts.addresses.filter(({ dns }) => dns);
    for (const { dns, target } of parts.addresses) if (!dns) this.#add(target);
    this.#watchSeveral();
  }

  /**
   * Whose turn it is. Prefers servers that are not in `tried`.
   *
   * @throws InferenceClientError UNAVAILABLE when a DNS name has no address
   */
  async pick(tried: ReadonlySet<Endpoint> = new Set()): Promise<Endpoint> {
    if (this.#names.length > 0) await this.#resolved();
    const nowMs = this.#parts.now();
    const places = this.endpoints.map((endpoint) => ({
      endpoint,
      place: place(endpoint.rank(nowMs), tried.has(endpoint)),
    }));
    const best = Math.min(...places.map((each) => each.place));
    const candidates = places.filter((each) => each.place === best);
    const chosen = candidates[this.#turn++ % candidates.length];
    if (chosen === undefined) throw noAddress(this.#names);
    return chosen.endpoint;
  }

  /** Notes that a call to this server failed for a reason that may not hold elsewhere. */
  failed(endpoint: Endpoint): void {
    endpoint.failed(this.#parts.now());
    if (this.#names.length > 0) this.#refresh(LOOKUP_MIN_MS);
  }

  /** Every server known at present. */
  get endpoints(): readonly Endpoint[] {
    return [...this.#members.values()].map(({ endpoint }) => endpoint);
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    for (const target of [...this.#members.keys()]) this.#remove(target);
  }

  /** Waits for the names' first look-up; afterwards only renews it in the background. */
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
        for (const ip of await this.#lookUpName(host))
          found.set(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`, host);
      } catch (error) {
        failures.set(host, error);
      }
    }
    if (this.#closed) return;
    if (found.size === 0) {
      for (const error of failures.values()) throw error;
      return;
    }
    // A name that does not resolve for once keeps the addresses it had.
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
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new InferenceClientError('UNAVAILABLE', `${host} cannot be reached: ${why}`, {
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

/** Least first: a healthy server, one not known yet, a healthy one that was tried already, and only then the others. */
function place(rank: 0 | 1 | 2, tried: boolean): number {
  return (rank === 2 ? 4 : rank) + (tried ? 2 : 0);
}

function noAddress(names: readonly ServerAddress[]): InferenceClientError {
  const hosts = names.map(({ host }) => host).join(', ');
  return new InferenceClientError('UNAVAILABLE', `${hosts} cannot be reached: the name has no address`, {
    reason: 'UNREACHABLE',
    address: hosts,
  });
}
