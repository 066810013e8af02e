import type { Size } from '../image.js';
import type { RawImage } from '../raw-image.js';

/** Formats decoded on a separate thread by WebAssembly or JavaScript. */
export type ThreadFormat = 'HEIC' | 'JXL' | 'BMP';

/** The size is that of the file's header, as shown. Any other is damage, because memory was reserved for this one. */
export interface DecodeRequest extends Size {
  readonly format: ThreadFormat;
  readonly content: Uint8Array;
}

/** Pixels, or a PNG (from the JPEG XL decoder). */
export type DecodedContent = { readonly raw: RawImage } | { readonly png: Uint8Array };

export type ThreadAnswer =
  | { readonly kind: 'decoded'; readonly content: DecodedContent; readonly memoryBytes: number }
  | { readonly kind: 'refused'; readonly message: string; readonly memoryBytes: number }
  | FailedAnswer;

export interface FailedAnswer {
  readonly kind: 'failed';
  readonly message: string;
  /** `damaged`: found by this program's reader, with its own message. `crashed`: the decoder's state is unknown. `overdue`: it took too long. */
  readonly reason: 'damaged' | 'decoder' | 'crashed' | 'overdue';
  /** Memory held by the thread's decoders. */
  readonly memoryBytes: number;
}
