import { Duplex } from 'node:stream';

/** Two connected streams in memory: what is written to one is read from the other. Like `stream.duplexPair` of Node.js 22. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const [one, other] = [new End(), new End()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}

class End extends Duplex {
  peer: End | undefined;
  /** Continues the peer's write when this end is read. */
  #read: (() => void) | undefined;

  override _read(): void {
    const read = this.#read;
    this.#read = undefined;
    read?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.peer === undefined || this.peer.destroyed) return done();
    this.peer.#read = done;
    this.peer.push(chunk);
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }
}
