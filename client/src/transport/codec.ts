import { type DescMessage, type DescMethod, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { messageOf } from '@heimdex/common';
import { createError, type InferenceClientError, invalidOption } from '../errors.js';
import { encodeMessage } from './encode.js';

/** The path and the message serializers of a gRPC method. */
export interface MethodCodec<Input, Output> {
  readonly name: string;
  readonly path: string;
  readonly serialize: (message: Input) => Buffer;
  readonly deserialize: (bytes: Buffer) => Output;
}

/** A method's descriptor with its message types. */
export type TypedMethod<Input extends DescMessage, Output extends DescMessage> = DescMethod & {
  readonly input: Input;
  readonly output: Output;
};

/** Adapts the generated message codecs to grpc-js. */
export function codecOf<Input extends DescMessage, Output extends DescMessage>(
  method: TypedMethod<Input, Output>,
): MethodCodec<MessageShape<Input>, MessageShape<Output>> {
  return {
    name: method.name,
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message) => encodeMessage(method.input, message),
    deserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** How the library says that a value does not fit its field: the message's type, the field, the field's type, the value. */
const UNFIT = /^cannot encode field \S*?(\w+)\.(\w+) to binary: invalid (\w+): (.*)$/s;
/** Where the options have the fields of nested messages. */
const PATHS: Readonly<Record<string, string>> = { RawAudio: 'raw.', VadParameters: 'vadParameters.' };

/** Serializes a message once for all attempts. Throws INVALID_ARGUMENT for a value that does not fit its field. */
export function serializeOnce<Input, Output>(
  codec: MethodCodec<Input, Output>,
  message: Input,
): { readonly codec: MethodCodec<Input, Output>; readonly bytes: number } {
  try {
    const serialized = codec.serialize(message);
    return { codec: { ...codec, serialize: () => serialized }, bytes: serialized.length };
  } catch (cause) {
    throw unfit(cause, codec.name);
  }
}

function unfit(cause: unknown, method: string): InferenceClientError {
  const [, owner = '', field, type = '', value] = UNFIT.exec(messageOf(cause)) ?? [];
  if (field === undefined) return createError('INTERNAL', messageOf(cause), { method, cause });
  const name = field.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const expected = type.startsWith('uint') ? 'an integer of 0 or more' : 'a number';
  return invalidOption(`${PATHS[owner] ?? ''}${name}`, `must be ${expected}, got ${value}`, method);
}
