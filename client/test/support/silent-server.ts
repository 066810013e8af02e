import { createServer, type Socket } from 'node:net';
import { listen } from './listen.js';

/** Starts a server that accepts connections and never responds. */
export async function startSilentServer() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  return {
    server,
    sockets,
    address: await listen(server),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
