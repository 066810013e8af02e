import { type DescMessage, type DescMethod, fromBinary, type MessageShape } from '@bufbuild/protobuf';
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

/** Serializes a message once for all attempts. `bytes` is 0 if that fails; the attempt then throws the error. */
export function serializeOnce<Input, Output>(
  codec: MethodCodec<Input, Output>,
  message: Input,
): { readonly codec: MethodCodec<Input, Output>; readonly bytes: number } {
  try {
    const serialized = codec.serialize(message);
    return { codec: { ...codec, serialize: () => serialized }, bytes: serialized.length };
  } catch {
    return { codec, bytes: 0 };
  }
}
