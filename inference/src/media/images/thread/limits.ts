/** Maximum memory of one decoder. JPEG XL takes 30 bytes per pixel, HEIC 9. */
export const MAX_DECODER_BYTES = 2 * 1024 ** 3;
/** Largest JPEG XL image that its decoder can handle with that memory. */
export const MAX_JXL_PIXELS = 50_000_000;
/** A thread whose decoders hold more than this is not reused: WebAssembly memory never shrinks. */
export const MAX_IDLE_BYTES = 64 * 1024 ** 2;
/** Processor time per image. Beyond it the image is considered malicious. */
export const MAX_DECODE_CPU_SECONDS = 60;
/** Images decoded at a time per process; others wait. Each may take MAX_DECODER_BYTES. */
export const MAX_THREADS = 2;
