/**
 * Import rules for dependency-cruiser (`npm run check:imports`). Type-only imports count as dependencies. The rules apply
 * to src/ and to the page; tests may import anything of their own package.
 */

/** A rule: files matching `from` must not import files or packages matching `to`. */
const never = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** Matches packages in node_modules by exact name, and paths inside them. */
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

/** Matches source directories or files of the server. */
const layer = (...names) => `^inference/src/(${names.join('|')})(/|\\.ts$)`;

/** Workspaces whose source may import these others alone, and why. */
const WORKSPACES = [
  ['compiler', COMPILER, [COMMON, ONNX], 'Compiles checkpoint files to graph files: no volume, no network.'],
  ['downloader', DOWNLOADER, [COMMON, CACHE, ONNX, COMPILER], 'The downloader does not depend on the server.'],
  ['server', INFERENCE, [COMMON, CACHE, ONNX, GEN], 'The server makes no network requests.'],
  ['client', CLIENT, [COMMON, GEN], 'The client depends only on gen and common.'],
  ['hub', HUB, [], 'The local hub has no dependencies on other workspaces.'],
];

const packages = [
  ...WORKSPACES.map(([name, own, others, why]) =>
    never(
      `${name}-is-independent`,
      why,
      { path: `${own}src/` },
      { path: '^(gen|downloader|inference|client|demo|deploy)/', pathNot: [own, ...others].join('|') },
    ),
  ),
  never(
    'gen-imports-nothing',
    'Generated code imports only its runtime.',
    { path: GEN },
    { pathNot: `${GEN}|${npm('@bufbuild/protobuf')}` },
  ),
  never(
    'common-imports-nothing',
    'What the programs share knows none of them; pino is for logs.',
    { path: `${COMMON}src/` },
    { pathNot: `${COMMON}|${npm('pino')}`, dependencyTypesNot: ['core'] },
  ),
  never(
    'cache-imports-nothing',
    'Both programs rely on this package for the volume: its only dependency is common, and it has no network.',
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
    'Reading and writing ONNX files has no dependencies.',
    { path: `${ONNX}src/` },
    { pathNot: ONNX },
  ),
  never(
    'page-is-its-own',
    'The page runs in a browser, unbundled: it imports its own files, and of the contract types (a test loads it).',
    { path: '^inference/playground/' },
    { pathNot: `^inference/playground/|${GEN}|${npm('@bufbuild/protobuf')}` },
  ),
  never(
    'no-imports-of-the-page',
    'The server reads the compiled page as files.',
    { pathNot: '^inference/playground/' },
    { path: '^inference/playground/' },
  ),
  never('no-imports-of-demo', 'The programs do not depend on the demo.', { pathNot: DEMO }, { path: DEMO }),
  never(
    'got-in-downloader-only',
    'Only the downloader makes HTTP requests.',
    { pathNot: `${DOWNLOADER}src/` },
    { path: npm('got') },
  ),
];

const server = [
  never(
    'models-know-no-server',
    'A model family imports only its own files, arithmetic and errors.',
    { path: layer('models', 'media') },
    {
      path: layer('transport', 'services', 'scheduling', 'runner', 'worker', 'capacity', 'config', 'telemetry', 'main'),
    },
  ),
  never(
    'worker-knows-models-only',
    'The child loads one model and runs batches; it shares only the frames with its parent.',
    { path: layer('worker') },
    { path: layer('transport', 'services', 'scheduling', 'capacity', 'config', 'telemetry', 'main') },
  ),
  never(
    'runner-looks-down',
    'The parent side of a worker implements an interface of the scheduler; it imports no higher layer.',
    { path: layer('runner') },
    { path: layer('transport', 'services', 'worker', 'capacity', 'config', 'telemetry', 'main') },
  ),
  never(
    'scheduling-looks-down',
    'Queue and batcher are a pure core; processes are behind an interface.',
    { path: layer('scheduling') },
    { path: layer('transport', 'services', 'runner', 'worker', 'capacity', 'config', 'telemetry', 'main') },
  ),
  never(
    'services-look-down',
    'Services call the scheduler; they do not import the workers.',
    { path: layer('services') },
    { path: layer('transport', 'runner', 'worker', 'main') },
  ),
  never(
    'capacity-plans-only',
    'What runs where is computed from figures; server.ts and host.ts act on it.',
    { path: layer('capacity') },
    { path: layer('transport', 'services', 'scheduling', 'runner', 'worker', 'telemetry', 'main') },
  ),
  never(
    'process-imports-nothing',
    'Processes as the operating system sees them: every layer may use it, it knows none.',
    { path: layer('process') },
    { path: '^inference/src/', pathNot: '^inference/src/process/' },
  ),
  never(
    'protocols-are-independent',
    'Each protocol has a directory of its own; what they share is in calls/, messages/ and auth/.',
    { path: '^inference/src/transport/(grpc|connect|http|openai|playground)/' },
    {
      path: '^inference/src/transport/(grpc|connect|http|openai|playground)/',
      pathNot: '^inference/src/transport/$1/',
    },
  ),
  never(
    'shared-transport-knows-no-protocol',
    'Admission, messages and authentication are the same for every protocol.',
    { path: '^inference/src/transport/(calls|messages|auth)/' },
    { path: '^inference/src/transport/(grpc|connect|http|openai|playground)/' },
  ),
  never(
    'no-imports-of-main',
    'main.ts wires; nothing is taken from it.',
    { pathNot: '\\.test\\.ts$' },
    { path: '^(downloader|inference|client|demo)/src/main\\.ts$' },
  ),
  never(
    'runtime-in-the-worker-only',
    'onnxruntime blocks its thread and transformers loads it: the serving process imports neither.',
    { path: '^inference/src/', pathNot: '^inference/src/(models|worker|media)/' },
    { path: npm('onnxruntime-node', 'onnxruntime-common', '@huggingface/transformers') },
  ),
  never(
    'spec-and-transcribe-without-runtime',
    'The parent process imports these files of a family: they must not load the runtime.',
    { path: '^inference/src/models/([^/]+/(spec|transcribe)|items|model|speech/speech|registry)\\.ts$' },
    {
      path: npm('onnxruntime-node', 'onnxruntime-common', '@huggingface/transformers', 'sharp', '@napi-rs/image'),
      reachable: true,
    },
  ),
  never(
    'domain-knows-no-grpc',
    'Only services/ and transport/ know gRPC statuses.',
    { path: layer('models', 'media', 'scheduling', 'runner', 'worker', 'errors') },
    { path: `${npm('@grpc/grpc-js', '@connectrpc/connect', '@connectrpc/connect-node')}|${GEN}` },
  ),
];

const hygiene = [
  never('no-cycles', 'No import cycles.', {}, { circular: true }),
  never('resolvable', 'Every import resolves. If not built: npm run build.', {}, { couldNotResolve: true }),
  never(
    'declared',
    'A workspace declares every package that it imports.',
    // Optional peers: pino of common, which the programs that log declare; sharp of the command, which the server declares.
    { path: '/src/', pathNot: '^gen/|^downloader/common/src/log|^client/src/cli/draw-faces' },
    { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  ),
  never(
    'src-without-dev',
    'Shipped code imports no devDependencies. The hub and the demo are not shipped.',
    { path: '/src/', pathNot: '^demo/' },
    { dependencyTypes: ['npm-dev'] },
  ),
  never('src-without-tests', 'Shipped code imports no tests.', { path: '/src/' }, { path: '/test/' }),
];

export default {
  forbidden: [...packages, ...server, ...hygiene],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules|/dist/' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'default'] },
  },
};
