/** Parses a message from JSON with checks. Pure; shared by the main thread and the JSON thread. */
import { type DescMessage, fromJsonString, type MessageShape } from '@bufbuild/protobuf';
import { messageOf } from '@heimdex/common';
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
  try {
    // A misspelt field or value would otherwise be ignored and its default used.
    return fromJsonString(desc, text, { ignoreUnknownFields: false });
  } catch (error) {
    // Whoever reports it has named the request already.
    const said = withExpected(desc, messageOf(error)).replace(`cannot decode message ${desc.typeName} from JSON: `, '');
    throw new Error(said, { cause: error });
  }
}

/** Of a message that came as another value, such as an image as a base64 string, the library names only that value. */
const OTHER_VALUE = /^cannot decode message (\S+) from JSON: (".*"|string|Array\(\d+\)|null|true|false|-?\d\S*)$/s;

const NO_BASE64 = ': invalid base64 string';
/** What the library expects of bytes that are no string, such as a list of numbers: in JSON they are one. */
const NO_STRING = ': expected Uint8Array, got ';

function withExpected(desc: DescMessage, said: string): string {
  // Most often a data URL.
  if (said.endsWith(NO_BASE64))
    return `${said}: expected the bytes in base64 alone, without "data:...;base64," before them`;
  if (said.includes(NO_STRING)) return said.replace(NO_STRING, ': expected a string, the bytes in base64, got ');
  const [, name, came] = OTHER_VALUE.exec(said) ?? [];
  const [field] = messagesOf(desc).find(({ typeName }) => typeName === name)?.fields ?? [];
  if (field === undefined) return said;
  return `cannot decode message ${name} from JSON: expected an object such as {"${field.jsonName}": ...}, got ${came}`;
}

/** A request and the messages in it. Those of arbitrary JSON contain each other. */
function messagesOf(desc: DescMessage): readonly DescMessage[] {
  const found = new Set([desc]);
  // The loop includes those that are added meanwhile.
  for (const { fields } of found) for (const { message } of fields) if (message !== undefined) found.add(message);
  return [...found];
}
