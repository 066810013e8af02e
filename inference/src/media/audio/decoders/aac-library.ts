import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** FFmpeg with one recording, as the package gives it. */
export interface AacRecording {
  readonly sampleRate: number;
  readonly channelCount: number;
  /** All of it; with `multiChannel` the channels interleaved, else mixed to one by mean. */
  decodeAudioData(start: number, duration: number, options: { readonly multiChannel: boolean }): Float32Array;
  dispose(): void;
}

type OpenRecording = (wasm: string, content: ArrayBuffer) => Promise<AacRecording>;

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
    const recording = await library.getAudioDecoder('decode-audio.wasm', content);
    process.removeAllListeners('uncaughtException');
    process.removeAllListeners('unhandledRejection');
    return recording;
  };
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
