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
 * Loads `audio-file-decoder` (FFmpeg as WebAssembly). The package is made for browsers, so three things are done for it:
 * it is an ES module that does not say so, which Node 20 loads only from a data URL; it looks for two names of CommonJS;
 * and it leaves listeners on the process. Therefore: only inside the decoding thread.
 */
export async function loadAacLibrary(): Promise<(content: ArrayBuffer) => Promise<AacRecording>> {
  const require = createRequire(import.meta.url);
  Object.assign(globalThis, { __dirname: '/', require });
  const source = await readFile(require.resolve('audio-file-decoder'), 'base64');
  const wasm = await readFile(require.resolve('audio-file-decoder/decode-audio.wasm'), 'base64');
  const library: { getAudioDecoder: OpenRecording } = await import(`data:text/javascript;base64,${source}`);
  return async (content) => {
    const recording = await library.getAudioDecoder(`data:application/wasm;base64,${wasm}`, content);
    process.removeAllListeners('uncaughtException');
    process.removeAllListeners('unhandledRejection');
    return recording;
  };
}
