import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** An audio file opened in FFmpeg. */
export interface AacAudio {
  readonly sampleRate: number;
  readonly channelCount: number;
  /** Decodes the whole file to interleaved channels. Throws on damage. */
  decode(): Float32Array;
  dispose(): void;
}

/** The used parts of the package's audio file, and of its inner module. */
interface PackagedAudio {
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

type OpenAudio = (wasm: string, content: ArrayBuffer) => Promise<PackagedAudio>;

/**
 * Loads `audio-file-decoder` (FFmpeg as WebAssembly). The package is made for browsers and needs four workarounds: it is an ES
 * module that is not declared as one, which Node 20 loads only from a data URL; it expects two CommonJS globals; it leaves
 * listeners on the process; and it fetches and compiles FFmpeg for every audio file, so it gets a `fetch` and a WebAssembly that
 * do so once. Therefore: only for the decoder thread.
 */
export async function loadAacLibrary(): Promise<(content: ArrayBuffer) => Promise<AacAudio>> {
  const require = createRequire(import.meta.url);
  const heimdexBrowser = browserFor(await readFile(require.resolve('audio-file-decoder/decode-audio.wasm')));
  Object.assign(globalThis, { __dirname: '/', require, heimdexBrowser });
  const text = await readFile(require.resolve('audio-file-decoder'), 'utf8');
  const source = Buffer.from(`const {WebAssembly,fetch}=globalThis.heimdexBrowser;${text}`).toString('base64');
  const library: { getAudioDecoder: OpenAudio } = await import(`data:text/javascript;base64,${source}`);
  return async (content) => {
    const audioFile = await library.getAudioDecoder('decode-audio.wasm', content).finally(() => {
      process.removeAllListeners('uncaughtException');
      process.removeAllListeners('unhandledRejection');
    });
    const { sampleRate, channelCount } = audioFile;
    return { sampleRate, channelCount, decode: () => decodeAll(audioFile), dispose: () => audioFile.dispose() };
  };
}

/** Replaces the package's `decodeAudioData`, which copies sample by sample through a function call. */
function decodeAll(audioFile: PackagedAudio): Float32Array {
  const module = audioFile._module;
  const { status, samples } = module.decodeAudio(audioFile.constructor.MEMFS_PATH, 0, -1, { multiChannel: true });
  try {
    if (status.status < 0) throw new Error(status.error);
    return (
      samplesInMemory(module, samples) ?? Float32Array.from({ length: samples.size() }, (_, at) => samples.get(at))
    );
  } finally {
    samples.delete();
  }
}

/** Returns the vector's memory: its handle has pointers to its begin and end, in a property whose name differs per build. */
function samplesInMemory({ HEAPU32, HEAPF32 }: PackagedModule, samples: PackagedSamples): Float32Array | undefined {
  const size = samples.size();
  if (size === 0) return new Float32Array(0);
  for (const name of Object.getOwnPropertyNames(samples)) {
    const handle: unknown = Reflect.get(samples, name);
    for (const pointer of Object.values(Object(handle))) {
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

/** The used part of WebAssembly; TypeScript declares it only with the DOM types. */
interface WebAssemblyCompiler {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<object>;
}

/** Returns the browser APIs for the package, with a module that is compiled once. */
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
