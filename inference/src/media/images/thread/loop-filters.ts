/**
 * libheif-js tells its HEVC decoder to leave out the filters at the edges of blocks: `de265_set_parameter_bool(decoder, 7, 1)` for deblocking and the
 * same with 8 for sample adaptive offset. As instructions: local.get, i32.const, i32.const 1, call, twice.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes of a binary file.
const LEFT_OUT = /(\x20.\x41\x07\x41)\x01(\x10..\x20.\x41\x08\x41)\x01(?=\x10)/gs;

/**
 * The module of libheif-js with the filters of HEVC. They are a part of decoding (ITU-T H.265, section 8.7): without them colours of a file of high
 * compression were wrong by 50 of 255. Throws for a module that does not leave them out where it is expected.
 */
export function withLoopFilters(module: Uint8Array): Uint8Array {
  const code = Buffer.from(module).toString('latin1');
  const filtered = code.replace(LEFT_OUT, '$1\0$2\0');
  if (filtered === code) throw new Error('Expected libheif-js to leave out the loop filters of HEVC.');
  return Buffer.from(filtered, 'latin1');
}
