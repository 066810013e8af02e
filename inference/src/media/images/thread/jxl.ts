import { readFileSync } from 'node:fs';
import { initSync, JxlImage } from 'jxl-oxide-wasm';
import type { DecodeRequest } from './messages.js';
import { checkDecodedSize, limitWasmMemory } from './wasm-memory.js';

/** jxl-oxide as WebAssembly: a decoder in Rust. */
export class JxlDecoder {
  readonly #memory: { readonly buffer: ArrayBufferLike };

  constructor(maxMemoryBytes: number) {
    const module = limitWasmMemory(
      readFileSync(new URL(import.meta.resolve('jxl-oxide-wasm/module.wasm'))),
      maxMemoryBytes,
    );
    this.#memory = initSync({ module }).memory;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Decodes the first frame, upright and in sRGB, as a PNG: the library does not return pixels. */
  decode(request: DecodeRequest): Uint8Array {
    const image = new JxlImage();
    try {
      image.forceSrgb = true;
      image.feedBytes(request.content);
      if (!image.tryInit()) throw new Error('The file ends too early: the header is not whole.');
      checkDecodedSize({ width: image.width ?? 0, height: image.height ?? 0 }, request);
      // Only the first frame of an animation is needed; a still image is that frame.
      if (image.numLoadedKeyframes < 1) throw new Error('The file ends too early: no frame is whole.');
      const png = image.render(0).encodeToPng();
      image.free();
      return png;
    } catch (error) {
      // After a trap the module is unusable; the thread ends.
      if (error instanceof Error && error.name === 'RuntimeError') throw error;
      image.free();
      // The library throws strings.
      throw error instanceof Error ? error : new Error(String(error));
    }
  }
}
