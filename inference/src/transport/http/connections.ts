/**
 * Limits open connections, in total and per peer. At the limit a new connection replaces the oldest one without a call:
 * first those that never sent a complete request, then idle ones, then those whose request has been arriving for long.
 * Silent and slow connections therefore keep nobody out. Work in progress is never ended.
 */
import type net from 'node:net';
import { peerOf } from '../calls/peer.js';

/** Age from which an arriving request may be ended for a new connection. */
const SLOW_MS = 5000;
/** Maximum fraction of all connections per peer. A proxy in front counts as one peer. */
const PEER_PART = 0.5;

/** The state of a connection, in the order of eviction; `working` is never evicted. */
const STATES = ['silent', 'idle', 'arriving', 'working'] as const;
type State = (typeof STATES)[number];

/** Connections by state, each in order of entering it. */
type ByState = Readonly<Record<State, Set<Connection>>>;

interface Connection {
  readonly socket: net.Socket;
  readonly key: string;
  readonly peer: string;
  /** Those of its peer. */
  readonly ofPeer: ByState;
  state: State;
  /** Since when. */
  sinceMs: number;
  /** Requests begun and not answered. */
  calls: number;
  /** Of those, the incomplete ones. */
  arriving: number;
}

/** A request on a connection. Both functions are idempotent. */
export interface ConnectionCall {
  /** The request is complete. */
  arrived(): void;
  ended(): void;
}

type Ends = Pick<net.Socket, 'remoteAddress' | 'remotePort'>;

export class Connections {
  readonly #max: number;
  readonly #maxPerPeer: number;
  /** By remote address and port, which both sockets of a TLS connection share. */
  readonly #open = new Map<string, Connection>();
  readonly #all = byState();
  readonly #peers = new Map<string, ByState>();

  constructor(max: number) {
    this.#max = max;
    this.#maxPerPeer = Math.max(1, Math.floor(max * PEER_PART));
  }

  /** Adds a connection until it closes. Returns false, and destroys it, when there is no space and none can be made. */
  add(socket: net.Socket): boolean {
    // Reset before it was accepted: it has no address, and therefore no key or peer.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return false;
    }
    const key = keyOf(socket);
    const peer = peerOf(socket.remoteAddress);
    const known = this.#peers.get(peer);
    // Its own limit first: a peer that has no space must not end the connections of others.
    const room =
      (known === undefined || countOf(known) < this.#maxPerPeer || this.#makeRoom(known)) &&
      (countOf(this.#all) < this.#max || this.#makeRoom(this.#all));
    if (!room) {
      socket.destroy();
      return false;
    }
    const ofPeer = this.#peers.get(peer) ?? byState();
    this.#peers.set(peer, ofPeer);
    const sinceMs = performance.now();
    const connection: Connection = { socket, key, peer, ofPeer, state: 'silent', sinceMs, calls: 0, arriving: 0 };
    this.#open.set(key, connection);
    this.#enter(connection, 'silent');
    socket.once('close', () => this.#forget(connection));
    return true;
  }

  /** A request begins on the connection with these ends. */
  begin(ends: Ends): ConnectionCall {
    const connection = this.#open.get(keyOf(ends));
    if (connection === undefined) return { arrived() {}, ended() {} };
    connection.calls += 1;
    connection.arriving += 1;
    this.#update(connection);
    let isWhole = false;
    let isOver = false;
    const arrived = () => {
      if (isWhole) return;
      isWhole = true;
      connection.arriving -= 1;
      this.#update(connection);
    };
    const ended = () => {
      arrived();
      if (isOver) return;
      isOver = true;
      connection.calls -= 1;
      this.#update(connection);
    };
    return { arrived, ended };
  }

  /** Whether a request is in progress on the connection with these ends. */
  busy(ends: Ends): boolean {
    return (this.#open.get(keyOf(ends))?.calls ?? 0) > 0;
  }

  /** Evicts a connection, if possible. */
  #makeRoom(among: ByState): boolean {
    for (const state of STATES) {
      const [oldest] = among[state];
      if (oldest === undefined) continue;
      if (state === 'working') return false;
      if (state === 'arriving' && performance.now() - oldest.sinceMs <= SLOW_MS) continue;
      this.#forget(oldest);
      oldest.socket.destroy();
      return true;
    }
    return false;
  }

  #update(connection: Connection): void {
    const { calls, arriving } = connection;
    if (!this.#all[connection.state].has(connection)) return;
    const state = calls === 0 ? 'idle' : calls === arriving ? 'arriving' : 'working';
    if (state === connection.state) return;
    this.#leave(connection);
    this.#enter(connection, state);
  }

  #enter(connection: Connection, state: State): void {
    connection.state = state;
    connection.sinceMs = performance.now();
    this.#all[state].add(connection);
    connection.ofPeer[state].add(connection);
  }

  #leave(connection: Connection): void {
    this.#all[connection.state].delete(connection);
    connection.ofPeer[connection.state].delete(connection);
  }

  #forget(connection: Connection): void {
    const { key, peer, ofPeer } = connection;
    if (!this.#all[connection.state].has(connection)) return;
    this.#leave(connection);
    // A new connection may have the same key: an address and port can be in use again before the old one's close event.
    if (this.#open.get(key) === connection) this.#open.delete(key);
    if (countOf(ofPeer) === 0) this.#peers.delete(peer);
  }
}

function byState(): ByState {
  return { silent: new Set(), idle: new Set(), arriving: new Set(), working: new Set() };
}

function countOf(connections: ByState): number {
  return STATES.reduce((sum, state) => sum + connections[state].size, 0);
}

function keyOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`;
}
