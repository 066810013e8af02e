/**
 * The open connections, bounded in number, all together and of one peer. When there is no room for another one, one without a call makes
 * room: first what has never sent a whole request, then what is idle, then whose request has been arriving for long; the oldest of
 * each. So connections that say nothing, or say it slowly, keep nobody out. Work in progress is never ended.
 */
import type net from 'node:net';

/** A request that has been arriving for this long may be ended to make room. */
const SLOW_MS = 5000;
/** The part of all connections that one peer may have. One proxy in front is one peer. */
const PEER_PART = 0.5;

interface Connection {
  readonly socket: net.Socket;
  readonly peer: string;
  /** Requests that have begun and are not answered. */
  calls: number;
  /** Of those, the ones that are not whole. */
  arriving: number;
  everCalled: boolean;
  /** Since when it is what it is. */
  sinceMs: number;
}

/** A request on a connection. Both are idempotent. */
export interface ConnectionCall {
  /** The request is whole. */
  arrived(): void;
  ended(): void;
}

type Ends = Pick<net.Socket, 'remoteAddress' | 'remotePort'>;

export class Connections {
  readonly #max: number;
  readonly #maxPerPeer: number;
  /** By address and port of the other end: of a TLS connection both sockets have the same. */
  readonly #open = new Map<string, Connection>();
  readonly #peers = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
    this.#maxPerPeer = Math.max(1, Math.floor(max * PEER_PART));
  }

  /** Takes a connection in, until it closes. False, and it is destroyed, when there is no room and none can be made. */
  add(socket: net.Socket): boolean {
    const key = keyOf(socket);
    const peer = peerOf(socket.remoteAddress ?? '');
    const room =
      (this.#open.size < this.#max || this.#makeRoom(() => true)) &&
      ((this.#peers.get(peer) ?? 0) < this.#maxPerPeer || this.#makeRoom((other) => other.peer === peer));
    if (!room) {
      socket.destroy();
      return false;
    }
    const connection = { socket, peer, calls: 0, arriving: 0, everCalled: false, sinceMs: performance.now() };
    this.#open.set(key, connection);
    this.#peers.set(peer, (this.#peers.get(peer) ?? 0) + 1);
    socket.once('close', () => this.#forget(key, connection));
    return true;
  }

  /** A request begins on the connection that has these ends. */
  begin(ends: Ends): ConnectionCall {
    const connection = this.#open.get(keyOf(ends));
    if (connection === undefined) return { arrived() {}, ended() {} };
    connection.calls += 1;
    connection.arriving += 1;
    connection.everCalled = true;
    connection.sinceMs = performance.now();
    let isWhole = false;
    let isOver = false;
    const arrived = () => {
      if (isWhole) return;
      isWhole = true;
      connection.arriving -= 1;
    };
    const ended = () => {
      arrived();
      if (isOver) return;
      isOver = true;
      connection.calls -= 1;
      connection.sinceMs = performance.now();
    };
    return { arrived, ended };
  }

  /** Whether a request is in progress on the connection that has these ends. */
  busy(ends: Ends): boolean {
    return (this.#open.get(keyOf(ends))?.calls ?? 0) > 0;
  }

  #makeRoom(among: (connection: Connection) => boolean): boolean {
    const nowMs = performance.now();
    let best: [key: string, connection: Connection, rank: number] | undefined;
    for (const [key, connection] of this.#open) {
      const rank = among(connection) ? rankOf(connection, nowMs) : 0;
      if (rank === 0) continue;
      const better = best === undefined || rank > best[2] || (rank === best[2] && connection.sinceMs < best[1].sinceMs);
      if (better) best = [key, connection, rank];
    }
    if (best === undefined) return false;
    const [key, connection] = best;
    this.#forget(key, connection);
    connection.socket.destroy();
    return true;
  }

  #forget(key: string, connection: Connection): void {
    if (this.#open.get(key) !== connection) return;
    this.#open.delete(key);
    const left = (this.#peers.get(connection.peer) ?? 1) - 1;
    if (left === 0) this.#peers.delete(connection.peer);
    else this.#peers.set(connection.peer, left);
  }
}

/** How gladly a connection is ended to make room for another; 0: not at all. */
function rankOf({ calls, arriving, everCalled, sinceMs }: Connection, nowMs: number): number {
  if (calls === 0) return everCalled ? 2 : 3;
  return calls === arriving && nowMs - sinceMs > SLOW_MS ? 1 : 0;
}

function keyOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Whom an address counts for: of IPv6 its first 64 bits, for whoever has one of them has all. */
export function peerOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  const groups = [...first, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...last];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
