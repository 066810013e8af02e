/**
 * Several listening sockets on one port. The event loop accepts one connection per turn and listening socket, and a turn
 * takes long while many bodies arrive: with a single socket, a new caller would wait behind a flood of connections for as many
 * turns. With SO_REUSEPORT (Linux; Node.js 22.12) the kernel spreads new connections over the sockets.
 */
import { once } from 'node:events';
import net from 'node:net';

/** With 32, a flood of 4096 connections during 40 uploads delays a new caller for 0.2 to 0.75 s; with one, for 0.2 to 1.75 s. */
const SOCKETS = 32;
const [MAJOR = 0, MINOR = 0] = process.versions.node.split('.').map(Number);
const IS_SUPPORTED = process.platform === 'linux' && (MAJOR > 22 || (MAJOR === 22 && MINOR >= 12));

interface Address {
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
}

export interface Listening {
  readonly address: net.AddressInfo;
  /** Stops accepting connections; resolves when all are closed. */
  close(): Promise<void>;
}

/** Listens with `server`, and with further sockets whose connections it gets as well. Rejects with Node's error. */
export async function listenTogether(server: net.Server, address: Address): Promise<Listening> {
  if (!IS_SUPPORTED) return listening([server], await listen(server, address));
  // Alone first: sockets that share a port would also share it with another server, instead of finding it in use.
  const alone = net.createServer();
  const { address: host, port } = await listen(alone, address);
  await close(alone);
  const others = Array.from({ length: SOCKETS - 1 }, () => {
    const other = net.createServer({ noDelay: true, keepAlive: true });
    other.maxConnections = server.maxConnections;
    return other.on('connection', (socket) => server.emit('connection', socket));
  });
  const servers = [server, ...others];
  try {
    await Promise.all(servers.map((each) => listen(each, { ...address, host, port, reusePort: true })));
  } catch (error) {
    await Promise.all(servers.map(close));
    throw error;
  }
  return listening(servers, server.address() as net.AddressInfo);
}

function listening(servers: readonly net.Server[], address: net.AddressInfo): Listening {
  return {
    address,
    async close() {
      await Promise.all(servers.map(close));
    },
  };
}

async function listen(server: net.Server, options: net.ListenOptions): Promise<net.AddressInfo> {
  await once(server.listen(options), 'listening');
  return server.address() as net.AddressInfo;
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
