import { deflateSync } from 'node:zlib';

/**
 * Returns the UTF-8 length of a text divided by its zlib-compressed length. Above 2.4 the text probably repeats itself.
 * 0 for an empty text. Source: utils.py of OpenAI's Whisper.
 */
export function compressionRatio(text: string): number {
  const bytes = Buffer.from(text);
  return bytes.length === 0 ? 0 : bytes.length / deflateSync(bytes).length;
}
