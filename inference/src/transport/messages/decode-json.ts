/** A message from JSON, checked before it is parsed. Pure; the serving thread and the thread for large JSON share it. */
import { type DescMessage, fromJsonString, type MessageShape } from '@bufbuild/protobuf';
import { type JsonLimits, refuseJson } from './scan-json.js';

/** Throws an Error whose message says what is wrong with the text. */
export function decodeJson(desc: DescMessage, bytes: Uint8Array, limits: JsonLimits): MessageShape<DescMessage> {
  const refusal = refuseJson(bytes, limits);
  if (refusal !== undefined) throw new Error(refusal);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not valid UTF-8');
  }
  // A misspelt field or word would otherwise be passed over, and its default used.
  return fromJsonString(desc, text, { ignoreUnknownFields: false });
}
