import { isIP, type Socket } from 'node:net';
import { ChannelCredentials } from '@grpc/grpc-js';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;
type SecureConnectorArguments = Parameters<ChannelCredentials['_createSecureConnector']>;

/** How far the newest connection came. */
export interface ConnectionProgress {
  /** The server accepted the TCP connection. */
  readonly accepted: boolean;
  /** It ended after the TLS handshake, as far as the client can tell, and before the server sent any HTTP/2 data. */
  readonly dismissed: boolean;
  /** Why the connection failed during the handshake or after it. */
  readonly failure: unknown;
}

/**
 * Credentials of one server that remember its connections until they carry data. grpc-js forgets a connection whose
 * handshake is pending: closing its channel leaves the socket open for as long as the server says nothing.
 */
export class WatchedCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  /** Each socket from grpc-js, with the one that carries HTTP/2: the same, or the encrypted one. */
  readonly #sockets = new Map<Socket, Socket | undefined>();
  #closed = false;
  #progress: ConnectionProgress = { accepted: false, dismissed: false, failure: undefined };

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  get progress(): ConnectionProgress {
    return this.#progress;
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  /** A connection is shared only by channels with the same credentials: each server of each client has its own. */
  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...settings: SecureConnectorArguments): SecureConnector {
    const connector = withoutAddressAsName(this.#inner._createSecureConnector(...settings));
    return {
      connect: (socket) => this.#connect(connector, socket),
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }

  /** Ends every connection on which the server has not yet sent HTTP/2 data, now and later. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const [socket, carrier] of this.#sockets)
      if (carrier === undefined || carrier.bytesRead === 0) socket.destroy();
  }

  async #connect(connector: SecureConnector, socket: Socket) {
    if (this.#closed) {
      socket.destroy();
      throw new Error('The client was closed');
    }
    this.#sockets.set(socket, undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#progress = { accepted: true, dismissed: false, failure: undefined };
    try {
      const result = await connector.connect(socket);
      if (!socket.closed) this.#sockets.set(socket, result.socket);
      // A server that rejects the client certificate says so after the handshake.
      result.socket.once('error', (failure) => this.#fail(failure));
      result.socket.once('close', () => {
        if (result.secure && result.socket.bytesRead === 0) this.#progress = { ...this.#progress, dismissed: true };
      });
      return result;
    } catch (failure) {
      this.#fail(failure);
      throw failure;
    }
  }

  #fail(failure: unknown): void {
    this.#progress = { ...this.#progress, failure };
  }
}

/**
 * grpc-js sends an IP address as the server's name, which TLS forbids (RFC 6066): Node.js warns of it, and Deno and Bun refuse it. Without a
 * name the certificate is verified against the address all the same.
 */
function withoutAddressAsName(connector: SecureConnector): SecureConnector {
  const { connectionOptions } = connector as SecureConnector & { connectionOptions?: { servername?: string } };
  if (isIP(connectionOptions?.servername ?? '') !== 0) delete connectionOptions?.servername;
  return connector;
}
