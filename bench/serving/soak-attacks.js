// Attacks of the soak test, started by soak.js as a separate process: node bench/serving/soak-attacks.js HOST:PORT SECONDS ONLY
//
// Each kind with ONLY in its name runs in a loop for SECONDS. Prints the number of each outcome as JSON.
import http2 from 'node:http2';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { wavOf } from '../support/wav.js';

const [address, seconds, only = ''] = process.argv.slice(2);
const [host, port] = [address.slice(0, address.lastIndexOf(':')), Number(address.slice(address.lastIndexOf(':') + 1))];
const until = performance.now() + Number(seconds) * 1000;
const over = () => performance.now() >= until;
const MB = 1e6;
const SERVICE = '/heimdex.inference.v1.InferenceService/';

const outcomes = {};
const record = (kind, outcome) => {
  outcomes[kind] ??= {};
  outcomes[kind][outcome] = (outcomes[kind][outcome] ?? 0) + 1;
};

function varint(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}
const field = (number, content) => Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);
function envelope(bytes, flags = 0) {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Makes a gRPC call with a raw message and returns its outcome. */
function grpc(method, body, { headers = {}, cancelAfterMs } = {}) {
  return new Promise((resolve) => {
    // Node.js' client cannot read a response while more than this is waiting to be sent (MB).
    const session = http2.connect(`http://${address}`, { maxSessionMemory: 1000 });
    const end = (outcome) => {
      clearTimeout(timer);
      session.destroy();
      resolve(outcome);
    };
    session.on('error', ({ code }) => end(code));
    const stream = session.request({
      ':method': 'POST',
      ':path': SERVICE + method,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const timer = setTimeout(() => end('given up'), cancelAfterMs ?? 120_000);
    stream.on('error', ({ code }) => end(code));
    for (const event of ['response', 'trailers']) {
      stream.on(event, (answer) => {
        if (answer['grpc-status'] !== undefined) end(`grpc-status ${answer['grpc-status']}`);
      });
    }
    stream.on('close', () => end('closed'));
    stream.resume();
    stream.end(body);
  });
}

async function post(method, body, headers) {
  try {
    const response = await fetch(`http://${address}${SERVICE}${method}`, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(120_000),
    });
    await response.arrayBuffer();
    return `HTTP ${response.status}`;
  } catch (error) {
    return error.cause?.code ?? error.name;
  }
}

function connection(text) {
  const socket = net.connect(port, host);
  socket.on('error', () => {});
  // The end is noticed only while reading.
  socket.resume();
  if (text !== '') socket.write(text);
  return socket;
}

const wav = wavOf(Float32Array.from({ length: 25 * MB }, (_, index) => Math.sin(index / 20) / 2));
const audioFile = envelope(field(1, field(1, wav)));
const zipped = gzipSync(field(1, field(1, Buffer.alloc(60 * MB))));
const emptyMessages = Buffer.alloc(60 * MB, Buffer.from([0x0a, 0]));
const json = (megabytes) => `{"images":[${'{},'.repeat((megabytes * MB) / 3)}{}]}`;
const content = `{"images":[{"content":"${Buffer.alloc(40 * MB).toString('base64')}"}]}`;
const asJson = { 'content-type': 'application/json' };
const HEAD = `POST ${SERVICE}EmbedText HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;

const many = (count, make) => Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const ATTACKS = {
  '40 audio files of 50 MB at once': async (tell) => {
    await many(40, async () => tell(await grpc('Transcribe', audioFile, { cancelAfterMs: 15_000 })));
    await sleep(10_000);
  },
  '40 messages of 58 KB that unpack to 60 MB': async (tell) => {
    await many(40, async (index) => {
      if (index % 2 === 0)
        tell(await grpc('EmbedImage', envelope(zipped, 1), { headers: { 'grpc-encoding': 'gzip' } }));
      else tell(await post('EmbedImage', zipped, { 'content-type': 'application/proto', 'content-encoding': 'gzip' }));
    });
    await sleep(5000);
  },
  'JSON of 16 to 60 MB': async (tell) => {
    await many(4, async (index) => tell(await post('EmbedImage', json(16 + index * 14), asJson)));
    await many(4, async () => tell(await post('EmbedImage', content, asJson)));
    await sleep(5000);
  },
  '30 million empty messages': async (tell) => {
    await many(4, async () => tell(await grpc('EmbedImage', envelope(emptyMessages))));
    await sleep(5000);
  },
  '4096 sockets of one byte': async (tell) => {
    const sockets = await many(4096, (index) => connection('GP'[index % 2]));
    await sleep(20_000);
    tell(`ended by the server: ${sockets.filter(({ destroyed }) => destroyed).length > 2000 ? 'most' : 'few'}`);
    for (const socket of sockets) socket.destroy();
  },
  'sockets that dribble': async (tell) => {
    const texts = [
      'GET /livez HTTP/1.1\r\nx: ',
      `${HEAD}content-length: 50000000\r\n\r\n`,
      `${HEAD}transfer-encoding: chunked\r\n\r\n`,
      'PRI * HTTP/2.0\r\n\r\n',
      '',
    ];
    const sockets = await many(200, (index) => connection(texts[index % texts.length]));
    const timer = setInterval(() => {
      for (const [index, socket] of sockets.entries())
        if (socket.writable) socket.write(index % 5 === 2 ? '1\r\na\r\n' : 'a');
    }, 1000);
    await sleep(60_000);
    clearInterval(timer);
    tell(`still open after 60 s: ${sockets.filter(({ destroyed }) => !destroyed).length}`);
    for (const socket of sockets) socket.destroy();
  },
  'uploads that are given up': async (tell) => {
    await many(10, async (index) => {
      if (index % 2 === 0) tell(await grpc('Transcribe', audioFile, { cancelAfterMs: 20 + index * 20 }));
      else {
        const socket = connection(`${HEAD}content-length: 50000000\r\n\r\n`);
        socket.write(Buffer.alloc(MB, ' '));
        await sleep(100);
        socket.destroy();
        tell('given up');
      }
    });
    await sleep(1000);
  },
  'deadlines of years': async (tell) => {
    const text = envelope(field(1, Buffer.from('a text')));
    tell(await grpc('EmbedText', text, { headers: { 'grpc-timeout': '99999999H' } }));
    tell(await post('EmbedText', '{"texts":["a"]}', { ...asJson, 'connect-timeout-ms': '9999999999' }));
    await sleep(1000);
  },
};

await Promise.all(
  Object.entries(ATTACKS)
    .filter(([kind]) => kind.includes(only))
    .map(async ([kind, attack]) => {
      while (!over()) await attack((outcome) => record(kind, outcome));
    }),
);
console.log(JSON.stringify(outcomes));
process.exit(0);
