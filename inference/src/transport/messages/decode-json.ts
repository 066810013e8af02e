/** Parses a message from JSON with checks. Pure; shared by the main thread and the JSON thread. */
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
  // A misspelt field or value would otherwise be ignored and its default used.
  return fromJsonString(desc, text, { ignoreUnknownFields: false });
}
