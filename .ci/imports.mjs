/**
 * Which way imports may point, for dependency-cruiser (`npm run check:imports`). Type-only imports count: a layer that
 * names another's types knows of it. The rules apply to src/; tests may reach anything of their own package.
 */

/** One rule: files matching `from` never import files (or packages) matching `to`. */
const never = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** A package of node_modules by its exact name, or any path inside it. */
const npm = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)`;

const COMMON = '^downloader/common/';
const CACHE = '^downloader/cache/';
const ONNX = '^downloader/onnx/';
const COMPILER = '^downloader/compiler/';
const DOWNLOADER = '^downloader/(?!common/|cache/|onnx/|compiler/)';
const INFERENCE = '^inference/';
const CLIENT = '^client/';
const GEN = '^gen/';
const DEMO = '^demo/(?!hub/)';
const HUB = '^demo/hub/';

/** A source directory, or a file, of the server. */
const layer = (...names) => `^inference/src/(${names.join('|')})(/|\\.ts$)`;

const packages = [
  never(
    'gen-imports-nothing',
    'Generated code knows only its runtime.',
    { path: GEN },
    {
      pathNot: `${GEN}|${npm('@bufbuild/protobuf')}`,
    },
  ),
  never(
    'common-imports-nothing',
    'What the programs share knows none of them; pino is for logs.',
    { path: `${COMMON}src/` },
    { pathNot: `${COMMON}|${npm('pino')}`, dependencyTypesNot: ['core'] },
  ),
  never(
    'cache-imports-nothing',
    'Both programs trust this package with the volume: no dependencies, no network.',
    { path: `${CACHE}src/` },
    { pathNot: `${CACHE}|${COMMON}`, dependencyTypesNot: ['core'] },
  ),
  never(
    'cache-has-no-network',
    'Only the downloader talks to a hub.',
    { path: `${CACHE}src/` },
    { dependencyTypes: ['core'], path: '^(node:)?(net|tls|http|https|http2|dns|dgram)(/|$)' },
  ),
  never(
    'onnx-imports-nothing',
    'Reading and writing ONNX files needs nothing else.',
    { path: `${ONNX}src/` },
    { pathNot: ONNX },
  ),
  never(
    'compiler-knows-onnx-only',
    'From checkpoint files to graph files: no volume, no network.',
    { path: `${COMPILER}src/` },
    { path: `${CACHE}|${DOWNLOADER}|${INFERENCE}|${CLIENT}|${GEN}|${DEMO}|${HUB}` },
  ),
  never(
    'downloader-knows-the-cache-only',
    'The downloader needs nothing of the server.',
    { path: `${DOWNLOADER}src/` },
    {
      path: `${INFERENCE}|${CLIENT}|${GEN}|${DEMO}|${HUB}`,
    },
  ),
  never(
    'server-without-downloader',
    'The server never touches the network.',
    { path: `${INFERENCE}src/` },
    {
      path: `${DOWNLOADER}|${COMPILER}|${CLIENT}|${DEMO}|${HUB}`,
    },
  ),
  never(
    'client-stands-alone',
    'A caller installs the client, gen and common, nothing else.',
    { path: `${CLIENT}src/` },
    {
      path: `${CACHE}|${ONNX}|${COMPILER}|${DOWNLOADER}|${INFERENCE}|${DEMO}|${HUB}`,
    },
  ),
  never(
    'hub-stands-alone',
    'The stand-in hub is used by everybody, and uses nobody.',
    { path: `${HUB}src/` },
    {
      path: `${CACHE}|${DOWNLOADER}|${INFERENCE}|${CLIENT}|${GEN}|${DEMO}`,
    },
  ),
  never(
    'nobody-needs-the-demo',
    'The demo shows the programs; they do not know of it.',
    { pathNot: DEMO },
    { path: DEMO },
  ),
  never(
    'got-in-downloader-only',
    'One program makes requests.',
    { pathNot: `${DOWNLOADER}src/` },
    { path: npm('got') },
  ),
];

const server = [
  never(
    'models-know-no-server',
    'A family is its files, arithmetic and errors.',
    { path: layer('models', 'media') },
    { path: layer('transport', 'services', 'scheduling', 'runner', 'worker', 'config', 'log', 'main') },
  ),
  never(
    'worker-knows-models-only',
    'The child loads one model and runs batches; what it shares with its parent is the frames.',
    { path: layer('worker') },
    { path: layer('transport', 'services', 'scheduling', 'config', 'main') },
  ),
  never(
    'runner-looks-down',
    'The parent side of a worker fills an interface that the scheduler declares; it knows nothing above.',
    { path: layer('runner') },
    { path: layer('transport', 'services', 'worker', 'config', 'main') },
  ),
  never(
    'scheduling-looks-down',
    'Queue and batcher are a pure core: processes are behind an interface.',
    { path: layer('scheduling') },
    { path: layer('transport', 'services', 'runner', 'worker', 'config', 'main') },
  ),
  never(
    'services-look-down',
    'Services call the scheduler; how a batch reaches a process is not theirs.',
    { path: layer('services') },
    { path: layer('transport', 'runner', 'worker', 'main') },
  ),
  never(
    'nobody-imports-main',
    'main.ts wires; nothing is taken from it.',
    { pathNot: '\\.test\\.ts$' },
    {
      path: '^(downloader|inference|client|demo)/src/main\\.ts$',
    },
  ),
  never(
    'runtime-in-the-worker-only',
    'onnxruntime blocks its thread and transformers loads it: the serving process imports neither.',
    { path: '^inference/src/', pathNot: '^inference/src/(models|worker|media)/' },
    { path: npm('onnxruntime-node', 'onnxruntime-common', '@huggingface/transformers') },
  ),
  never(
    'spec-and-transcribe-without-runtime',
    'The parent imports these files of a family: they must not pull the runtime in.',
    { path: '^inference/src/models/([^/]+/(spec|transcribe)|items|model|speech|registry)\\.ts$' },
    { path: npm('onnxruntime-node', 'onnxruntime-common', '@huggingface/transformers', 'sharp'), reachable: true },
  ),
  never(
    'domain-knows-no-grpc',
    'Statuses are services/ and transport/ matter.',
    { path: layer('models', 'media', 'scheduling', 'runner', 'worker', 'errors') },
    { path: `${npm('@grpc/grpc-js', '@connectrpc/connect', '@connectrpc/connect-node')}|${GEN}` },
  ),
];

const hygiene = [
  never('no-cycles', 'Imports point one way.', {}, { circular: true }),
  never(
    'resolvable',
    'Each import names something that is there. Built? npm run build.',
    {},
    { couldNotResolve: true },
  ),
  never(
    'declared',
    'A package is listed by the workspace that imports it, not found by luck of hoisting.',
    // pino is an optional peer of common: the programs that log list it.
    { path: '/src/', pathNot: '^gen/|^downloader/common/src/log' },
    { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  ),
  never(
    'src-without-dev',
    'What is shipped needs no devDependency. The hub and the demo are not shipped.',
    { path: '/src/', pathNot: '^demo/' },
    {
      dependencyTypes: ['npm-dev'],
    },
  ),
  never('src-without-tests', 'Shipped code knows no tests.', { path: '/src/' }, { path: '/test/' }),
];

export default {
  forbidden: [...packages, ...server, ...hygiene],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules|/dist/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default'] },
  },
};
