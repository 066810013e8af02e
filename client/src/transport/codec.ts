import { type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';

/** A method as gRPC calls it: its path and how its messages are written. */
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

/** Makes the generated message codecs those of native gRPC. */
export function codecOf<Input extends DescMessage, Output extends DescMessage>(
  method: TypedMethod<Input, Output>,
): MethodCodec<MessageShape<Input>, MessageShape<Output>> {
  return {
    name: method.name,
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message) => {
      const bytes = toBinary(method.input, message);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** A message written once for all attempts, and its size; 0 where it cannot be written, which the attempt says. */
export function writtenOnce<Input, Output>(
  codec: MethodCodec<Input, Output>,
  message: Input,
): { readonly codec: MethodCodec<Input, Output>; readonly bytes: number } {
  try {
    const written = codec.serialize(message);
    return { codec: { ...codec, serialize: () => written }, bytes: written.length };
  } catch {
    return { codec, bytes: 0 };
  }
}
