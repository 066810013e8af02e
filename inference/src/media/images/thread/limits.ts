/** Memory of one decoder. JPEG XL takes 30 bytes a pixel, HEIC 9. */
export const MAX_DECODER_BYTES = 2 * 1024 ** 3;
/** Largest JPEG XL image: what its decoder manages with that memory. */
export const MAX_JXL_PIXELS = 50_000_000;
/** A thread whose decoders hold more than this is not kept for the next image: WebAssembly's memory never shrinks. */
export const MAX_IDLE_BYTES = 64 * 1024 ** 2;
/** Processor time for one image. A decoder that has not ended by then is being held up on purpose. */
export const MAX_DECODE_CPU_SECONDS = 60;
/** Images decoded at a time in one process; the others wait. Each may take MAX_DECODER_BYTES. */
export const MAX_THREADS = 2;
