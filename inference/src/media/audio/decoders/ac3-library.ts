import { readFile } from 'node:fs/promises';

/** What is used of FFmpeg's AC-3 decoders, as `@mediabunny/ac3` builds them. Pointers are numbers; below 0 is an error. */
export interface Ac3Library {
  readonly HEAPU8: Uint8Array;
  /** 0: AC-3, 1: E-AC-3. Gives 0 where there is no memory. */
  _init_decoder(codec: number): number;
  /** Where the packet goes. 0 where there is no memory. */
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

/** Within the package: FFmpeg as WebAssembly, with the script that starts it. Held by the tests, in 1.59.0. */
const BUILD = '../modules/build/ac3.js';

/** What the script looks for; what FFmpeg writes of each damaged frame goes nowhere. */
const HEAD = 'const exports={},console={log(){},warn(){},error(){}};';

/**
 * Loads FFmpeg's AC-3 decoders. The package's public part decodes for mediabunny, through WebCodecs' classes and in a worker of
 * its own; this is in the decoding thread already and has packets. Its inner module is neither CommonJS, since it uses
 * `import.meta`, nor an ES module, since it uses `exports`: it is given both, from a data URL.
 */
export async function loadAc3Library(): Promise<Ac3Library> {
  const text = await readFile(new URL(BUILD, import.meta.resolve('@mediabunny/ac3')), 'utf8');
  const source = Buffer.from(`${HEAD}${text};export default exports.default;`).toString('base64');
  const { default: create }: { default: () => Promise<Ac3Library> } = await import(
    `data:text/javascript;base64,${source}`
  );
  return create();
}
