/**
 * Forwards TCP connections: `node forward.js LISTEN_PORT HOST:PORT`. The model service is in an internal network, from which
 * compose cannot publish a port; this runs in both networks.
 */
import { connect, createServer } from 'node:net';

const [listenPort, target = ''] = process.argv.slice(2);
const [, host, port] = /^(.+):(\d+)$/.exec(target) ?? [];
if (!/^\d+$/.test(listenPort ?? '') || host === undefined) {
  console.error('Usage: node forward.js LISTEN_PORT HOST:PORT');
  process.exit(2);
}

const open = new Set();
const server = createServer({ allowHalfOpen: true }, (caller) => {
  const service = connect({ host, port: Number(port), allowHalfOpen: true });
  for (const [from, to] of [
    [caller, service],
    [service, caller],
  ]) {
    open.add(from);
    from.setNoDelay(true);
    from.on('error', () => to.destroy());
    from.on('close', () => open.delete(from));
    from.pipe(to);
  }
});

server.listen(Number(listenPort), () => console.log(`Port ${listenPort} goes to ${target}`));
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close();
    for (const socket of open) socket.destroy();
  });
}
