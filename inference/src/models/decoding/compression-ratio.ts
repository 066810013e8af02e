import { deflateSync } from 'node:zlib';

/**
 * Length of a text in UTF-8 over its length after zlib; a text that repeats itself compresses well, above 2.4 it likely does.
 * 0 for no text. Source: utils.py of OpenAI's Whisper.
 */
export function compressionRatio(text: string): number {
  const bytes = Buffer.from(text);
  return bytes.length === 0 ? 0 : bytes.length / deflateSync(bytes).length;
}
