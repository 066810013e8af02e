import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** FFmpeg with one recording. */
export interface AacRecording {
  readonly sampleRate: number;
  readonly channelCount: number;
  /** All of it, the channels interleaved. Throws where FFmpeg finds damage. */
  decode(): Float32Array;
  dispose(): void;
}

/** A recording as the package gives it: what is used of it, and of the module within. */
interface PackagedRecording {
  readonly sampleRate: number;
  readonly channelCount: number;
  readonly constructor: { readonly MEMFS_PATH: string };
  readonly _module: PackagedModule;
  dispose(): void;
}
interface PackagedModule {
  readonly HEAPU32: Uint32Array;
  readonly HEAPF32: Float32Array;
  decodeAudio(
    path: string,
    start: number,
    duration: number,
    options: { readonly multiChannel: boolean },
  ): { readonly status: { readonly status: number; readonly error: string }; readonly samples: PackagedSamples };
}
/** A C++ vector of floats. */
interface PackagedSamples {
  size(): number;
  get(index: number): number;
  delete(): void;
}

type OpenRecording = (wasm: string, content: ArrayBuffer) => Promise<PackagedRecording>;

/**
 * Loads `audio-file-decoder` (FFmpeg as WebAssembly). The package is made for browsers, so four things are done for it:
 * it is an ES module that does not say so, which Node 20 loads only from a data URL; it looks for two names of CommonJS;
 * it leaves listeners on the process; and it fetches and compiles FFmpeg again for every recording, so it is given a `fetch`
 * and a WebAssembly that do so once. Therefore: only inside the decoding thread.
 */
export async function loadAacLibrary(): Promise<(content: ArrayBuffer) => Promise<AacRecording>> {
  const require = createRequire(import.meta.url);
  const heimdexBrowser = browserFor(await readFile(require.resolve('audio-file-decoder/decode-audio.wasm')));
  Object.assign(globalThis, { __dirname: '/', require, heimdexBrowser });
  const text = await readFile(require.resolve('audio-file-decoder'), 'utf8');
  const source = Buffer.from(`const {WebAssembly,fetch}=globalThis.heimdexBrowser;${text}`).toString('base64');
  const library: { getAudioDecoder: OpenRecording } = await import(`data:text/javascript;base64,${source}`);
  return async (content) => {
    const recording = await library.getAudioDecoder('decode-audio.wasm', content).finally(() => {
      process.removeAllListeners('uncaughtException');
      process.removeAllListeners('unhandledRejection');
    });
    const { sampleRate, channelCount } = recording;
    return { sampleRate, channelCount, decode: () => decodeAll(recording), dispose: () => recording.dispose() };
  };
}

/** As the package's own `decodeAudioData`, which copies sample by sample through a function of the module. */
function decodeAll(recording: PackagedRecording): Float32Array {
  const module = recording._module;
  const { status, samples } = module.decodeAudio(recording.constructor.MEMFS_PATH, 0, -1, { multiChannel: true });
  try {
    if (status.status < 0) throw new Error(status.error);
    return (
      samplesInMemory(module, samples) ?? Float32Array.from({ length: samples.size() }, (_, at) => samples.get(at))
    );
  } finally {
    samples.delete();
  }
}

/** The vector's memory: its handle holds a pointer to where it begins and ends, under a name that differs from build to build. */
function samplesInMemory({ HEAPU32, HEAPF32 }: PackagedModule, samples: PackagedSamples): Float32Array | undefined {
  const size = samples.size();
  if (size === 0) return new Float32Array(0);
  for (const name of Object.getOwnPropertyNames(samples)) {
    const handle: unknown = Reflect.get(samples, name);
    for (const pointer of handle instanceof Object ? Object.values(handle) : []) {
      if (typeof pointer !== 'number' || pointer % 4 !== 0) continue;
      const [begin = 0, end = 0] = HEAPU32.subarray(pointer / 4, pointer / 4 + 2);
      if (end - begin !== 4 * size || begin % 4 !== 0) continue;
      const found = HEAPF32.slice(begin / 4, end / 4);
      const same = [0, size >> 1, size - 1].every((at) => Object.is(found[at], samples.get(at)));
      if (same) return found;
    }
  }
  return undefined;
}

/** What is used of WebAssembly; the compiler's types have it only with those of browsers. */
interface WebAssemblyCompiler {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<object>;
}

/** What the package fetches and compiles whenever it is asked: always the same, so it is compiled once. */
function browserFor(wasm: Uint8Array): object {
  const { WebAssembly: compiler } = globalThis as unknown as { readonly WebAssembly: WebAssemblyCompiler };
  const compiled = compiler.compile(wasm);
  const instantiateStreaming = async (_response: unknown, imports: object) => {
    const module = await compiled;
    return { module, instance: await compiler.instantiate(module, imports) };
  };
  return {
    WebAssembly: Object.assign(Object.create(compiler), { instantiateStreaming }),
    fetch: async () => undefined,
  };
}
