// Polls /livez and /readyz, each time on a new connection, until it is stopped; started by soak.js:
// node bench/serving/soak-probe.js HOST:PORT. At the end it prints the latencies in milliseconds and failed responses as JSON, together
// with the delay of its own event loop.
import http from 'node:http';

const address = process.argv[2];
const EVERY_MS = 100;
const times = { '/livez': [], '/readyz': [] };
/** Latency from the connection to the response: the server's part. Before it, TCP may wait in the kernel's queue. */
const connected = [];
const wrong = [];
let heldUpMs = 0;
let expectedAt = performance.now() + EVERY_MS;
const paths = Object.keys(times);
let turn = 0;

function ask(path) {
  const startedAt = performance.now();
  let connectedAt = startedAt;
  const ended = (what) => {
    connected.push(performance.now() - connectedAt);
    times[path].push(performance.now() - startedAt);
    if (what !== 200) wrong.push(`${path}: ${what}`);
  };
  const request = http.get(`http://${address}${path}`, { agent: false }, (response) => {
    response.resume();
    response.once('end', () => ended(response.statusCode));
  });
  request.once('socket', (socket) => socket.once('connect', () => (connectedAt = performance.now())));
  request.once('error', ({ code }) => ended(code));
}

setInterval(() => {
  const now = performance.now();
  heldUpMs = Math.max(heldUpMs, now - expectedAt);
  expectedAt = now + EVERY_MS;
  ask(paths[turn++ % 2]);
}, EVERY_MS);
process.once('SIGTERM', () => {
  process.stdout.write(JSON.stringify({ times, connected, wrong, heldUpMs }), () => process.exit(0));
});
