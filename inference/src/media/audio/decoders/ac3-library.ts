import { readFile } from 'node:fs/promises';

/** The used part of FFmpeg's AC-3 decoders, as built by `@mediabunny/ac3`. Pointers are numbers; negative results are errors. */
export interface Ac3Library {
  readonly HEAPU8: Uint8Array;
  /** Creates a context (0: AC-3, 1: E-AC-3). Returns 0 if out of memory. */
  _init_decoder(codec: number): number;
  /** Returns the packet's buffer; 0 if out of memory. */
  _configure_decode_packet(context: number, bytes: number): number;
  _decode_packet(context: number, time: bigint): number;
  _get_decoded_format(context: number): number;
  _get_decoded_plane_ptr(context: number, plane: number): number;
  _get_decoded_channels(context: number): number;
  _get_decoded_sample_rate(context: number): number;
  _get_decoded_sample_count(context: number): number;
  _flush_decoder(context: number): void;
  _close_decoder(context: number): void;
}

/** The package's inner module: FFmpeg as WebAssembly with its loader. Checked by the tests, for 1.59.0. */
const BUILD = '../modules/build/ac3.js';

/** Globals that the script expects; FFmpeg's messages about damaged frames are discarded. */
const HEAD = 'const exports={},console={log(){},warn(){},error(){}};';

/**
 * Loads FFmpeg's AC-3 decoders. The package's public API decodes for mediabunny, through WebCodecs classes and in its own worker,
 * while this code already runs in the decoder thread and has packets. The inner module uses both `import.meta` and `exports`, so
 * it is neither CommonJS nor an ES module: a data URL provides both.
 */
export async function loadAc3Library(): Promise<Ac3Library> {
  const text = await readFile(new URL(BUILD, import.meta.resolve('@mediabunny/ac3')), 'utf8');
  const source = Buffer.from(`${HEAD}${text};export default exports.default;`).toString('base64');
  const { default: create }: { default: () => Promise<Ac3Library> } = await import(
    `data:text/javascript;base64,${source}`
  );
  return create();
}
