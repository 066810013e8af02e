import type { DecodeAnswer, DecodeRequest } from './session.js';

/** Where one audio file is decoded: in a thread, or beside the reader where that is no work. */
export interface DecoderHost {
  /** One exchange; never called again before it settles. */
  pull(request: DecodeRequest): Promise<DecodeAnswer>;
  /** Idempotent; an exchange under way rejects. */
  close(): Promise<void>;
}
