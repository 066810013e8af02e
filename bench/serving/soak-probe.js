// Asks /livez and /readyz again and again, each time on a new connection, until it is ended (soak.js starts this):
// node bench/serving/soak-probe.js HOST:PORT. It prints, as JSON at its end, the times in milliseconds and what was not 200. What its own
// process was held up by (its timer, late) is printed beside them.
import http from 'node:http';

const address = process.argv[2];
const EVERY_MS = 100;
const times = { '/livez': [], '/readyz': [] };
/** From the connection to the answer: what the server itself takes. Before it, TCP may wait in the system's queue. */
const connected = [];
const wrong = [];
const slow = [];
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
    if (performance.now() - startedAt > 300)
      slow.push([Date.now(), path, Math.round(connectedAt - startedAt), Math.round(performance.now() - connectedAt)]);
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
  if (process.env.SLOW) process.stderr.write(`${JSON.stringify(slow)}\n`);
  process.stdout.write(JSON.stringify({ times, connected, wrong, heldUpMs }), () => process.exit(0));
});
