import type { DecodeAnswer, DecodeRequest } from './session.js';

/** Decodes one audio file, in a thread or inline. */
export interface DecoderHost {
  /** Requests samples. Must not be called again before it settles. */
  pull(request: DecodeRequest): Promise<DecodeAnswer>;
  /** Closes the decoder; a pending `pull` rejects. Idempotent. */
  close(): Promise<void>;
}
