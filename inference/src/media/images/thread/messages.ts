import type { RawImage } from '../raw-image.js';

/** Formats that are decoded on a thread of this program's own, by WebAssembly or JavaScript. */
export type ThreadFormat = 'HEIC' | 'JXL' | 'BMP';

export interface DecodeRequest {
  readonly format: ThreadFormat;
  readonly content: Uint8Array;
  /** Size by the file's header, as shown. Another one is damage: memory was granted for this one. */
  readonly width: number;
  readonly height: number;
}

/** Pixels, or a PNG with them (from the JPEG XL decoder). */
export type DecodedContent = { readonly raw: RawImage } | { readonly png: Uint8Array };

export type ThreadAnswer =
  /** Sent once: the thread's files under /proc, where its processor time stands; undefined on systems without. */
  | { readonly kind: 'started'; readonly proc: string | undefined }
  | { readonly kind: 'decoded'; readonly content: DecodedContent; readonly memoryBytes: number }
  | { readonly kind: 'refused'; readonly message: string; readonly memoryBytes: number }
  | FailedAnswer;

export interface FailedAnswer {
  readonly kind: 'failed';
  readonly message: string;
  /** `damaged`: found by this program's own reader, with words of its own. `crashed`: the decoder's state is unknown. */
  readonly reason: 'damaged' | 'decoder' | 'crashed';
  /** What the decoders of the thread hold now. */
  readonly memoryBytes: number;
}
