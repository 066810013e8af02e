import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { DamagedImage } from '../errors.js';
import type { Size } from '../image.js';
import { type RawImage, unpremultiply } from '../raw-image.js';
import { withLoopFilters } from './loop-filters.js';
import type { DecodeRequest } from './messages.js';
import { checkDecodedSize, limitWasmMemory } from './wasm-memory.js';

type Handle = object;
interface Plane extends Size {
  readonly data: Uint8Array;
  readonly stride: number;
}
/** The part of libheif-js used here; its own types only name generated C functions. */
interface Libheif {
  readonly HEAPU8: Uint8Array;
  readonly heif_colorspace: { readonly heif_colorspace_RGB: object };
  readonly heif_chroma: { readonly heif_chroma_interleaved_RGB: object; readonly heif_chroma_interleaved_RGBA: object };
  readonly heif_error_code: { readonly heif_error_Ok: object };
  heif_context_alloc(): Handle;
  heif_context_free(context: Handle): void;
  heif_context_read_from_memory(context: Handle, content: Uint8Array): { readonly code: object };
  heif_js_context_get_primary_image_handle(context: Handle): Handle & { readonly code?: object };
  heif_image_handle_get_width(image: Handle): number;
  heif_image_handle_get_height(image: Handle): number;
  heif_image_handle_has_alpha_channel(image: Handle): number;
  heif_image_handle_is_premultiplied_alpha(image: Handle): number;
  heif_js_decode_image2(
    image: Handle,
    space: object,
    chroma: object,
  ): { readonly channels?: readonly Plane[]; readonly image?: Handle };
  heif_image_release(image: Handle): void;
  heif_image_handle_release(image: Handle): void;
}

const PACKAGE = 'libheif-js/libheif-wasm/libheif';

/** libheif with libde265, as WebAssembly. */
export class HeicDecoder {
  readonly #library: Libheif;

  constructor(maxMemoryBytes: number) {
    const require = createRequire(import.meta.url);
    const module = withLoopFilters(readFileSync(require.resolve(`${PACKAGE}.wasm`)));
    const wasmBinary = limitWasmMemory(module, maxMemoryBytes);
    const quiet = (): void => {};
    this.#library = require(`${PACKAGE}.js`)({ wasmBinary, print: quiet, printErr: quiet }) as Libheif;
  }

  get memoryBytes(): number {
    return this.#library.HEAPU8.byteLength;
  }

  /**
   * Decodes the primary image with rotation, mirroring and crops applied and grid tiles assembled, to 8 bits per
   * sample. Depth maps, gain maps and thumbnails are ignored.
   */
  decode(request: DecodeRequest): RawImage {
    const heif = this.#library;
    const context = heif.heif_context_alloc();
    try {
      const { code } = heif.heif_context_read_from_memory(context, request.content);
      if (code !== heif.heif_error_code.heif_error_Ok) throw new Error('libheif could not read the file');
      const image = heif.heif_js_context_get_primary_image_handle(context);
      if (image.code !== undefined) throw new Error('libheif found no primary image');
      try {
        return this.#pixels(image, request);
      } finally {
        heif.heif_image_handle_release(image);
      }
    } finally {
      heif.heif_context_free(context);
    }
  }

  #pixels(image: Handle, request: DecodeRequest): RawImage {
    const heif = this.#library;
    const width = heif.heif_image_handle_get_width(image);
    const height = heif.heif_image_handle_get_height(image);
    checkDecodedSize({ width, height }, request);
    const hasAlpha = heif.heif_image_handle_has_alpha_channel(image) !== 0;
    const premultiplied = hasAlpha && heif.heif_image_handle_is_premultiplied_alpha(image) !== 0;
    const { heif_chroma_interleaved_RGB: rgb, heif_chroma_interleaved_RGBA: rgba } = heif.heif_chroma;
    const decoded = heif.heif_js_decode_image2(image, heif.heif_colorspace.heif_colorspace_RGB, hasAlpha ? rgba : rgb);
    try {
      const [plane] = decoded.channels ?? [];
      if (plane === undefined) throw new Error('libheif could not decode the image');
      if (plane.width !== width || plane.height !== height) throw new DamagedImage('its tiles do not make up its size');
      const data = withoutPadding(plane, hasAlpha ? 4 : 3);
      if (premultiplied) unpremultiply(data, 4);
      return { width, height, channels: hasAlpha ? 4 : 3, data };
    } finally {
      if (decoded.image !== undefined) heif.heif_image_release(decoded.image);
    }
  }
}

function withoutPadding({ data, stride, width, height }: Plane, channels: number): Uint8Array {
  const row = width * channels;
  const packed = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) packed.set(data.subarray(y * stride, y * stride + row), y * row);
  return packed;
}
