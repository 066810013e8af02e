import { CompilerError } from '../../errors.js';
import { MAX_AXES, shown } from '../checkpoint.js';
import type { DataType } from '../data-types.js';

/** A storage named in a pickle; its bytes are elsewhere in the file. */
export interface StorageReference {
  readonly kind: 'storage';
  readonly type: DataType;
  readonly key: string;
}

/** A tensor of a pickle: a view of a storage. Offsets and strides in elements. */
export interface TensorReference {
  readonly kind: 'tensor';
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** Values in a pickle of tensors. */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Pickled[]
  | Map<Pickled, Pickled>
  | StorageReference
  | TensorReference
  | StorageType
  | Callable;

interface StorageType {
  readonly kind: 'storage type';
  readonly type: DataType;
}

interface Callable {
  readonly kind: 'callable';
  call(args: readonly Pickled[]): Pickled;
}

const STORAGE_TYPES: ReadonlyMap<string, DataType> = new Map([
  ['DoubleStorage', 'F64'],
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]);

/** The globals of a state dict. All others are rejected, and none is run. */
const CALLABLES = new Map<string, (args: readonly Pickled[]) => Pickled>([
  ['collections OrderedDict', () => new Map()],
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_parameter', ([tensor]) => tensor ?? null],
]);

/** Resolves a global. Throws CHECKPOINT_REFUSED for one that a state dict does not need. */
export function globalOf(module: string, name: string): Pickled {
  const type = module === 'torch' ? STORAGE_TYPES.get(name) : undefined;
  if (type !== undefined) return { kind: 'storage type', type };
  const call = CALLABLES.get(`${module} ${name}`);
  if (call === undefined) throw refused(`it asks for ${shown(`${module}.${name}`)}`);
  return { kind: 'callable', call };
}

/** Parses a persistent id of torch: ('storage', type, key, location, element count), followed by None in the older form. */
export function storageOf(id: Pickled): StorageReference {
  const [tag, type, key, , , view] = Array.isArray(id) ? id : [];
  if (tag !== 'storage' || !isKind(type, 'storage type')) throw refused('it names an object outside the file');
  if (typeof key !== 'string' && typeof key !== 'number') throw invalid('it names a storage by what is no text');
  if (view !== undefined && view !== null) throw invalid('it has a storage that is a view of another one');
  return { kind: 'storage', type: type.type, key: String(key) };
}

function rebuildTensor([storage, offset, shape, stride, , , view]: readonly Pickled[]): TensorReference {
  // What is set is not named: lists that hold each other would take forever as text.
  if (view instanceof Map && [...view.values()].includes(true))
    throw refused('it has a tensor that is negated or conjugated when it is read');
  if (!isKind(storage, 'storage') || !Number.isSafeInteger(offset) || !isNumbers(shape) || !isNumbers(stride)) {
    throw invalid('it describes a tensor without storage, offset, shape or stride');
  }
  return { kind: 'tensor', storage, offset: Number(offset), shape, stride };
}

/** Returns whether a value of a pickle is of that kind. */
export function isKind<Kind extends 'storage' | 'tensor' | 'storage type' | 'callable'>(
  value: Pickled | undefined,
  kind: Kind,
): value is Extract<Pickled, { readonly kind: Kind }> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}

/** Bounded by the axes: many tensors may name one list of any length. */
function isNumbers(value: Pickled | undefined): value is number[] {
  return Array.isArray(value) && value.length <= MAX_AXES && value.every((one) => typeof one === 'number');
}

/** Returns the error for a pickle that does more than hold tensors. */
export function refused(why: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_REFUSED',
    `Expected a pickle that holds tensors and nothing else, but ${why}. Nothing of it was run. Use a safetensors file of the model instead.`,
  );
}

/** Returns the error for bytes that are not a pickle of torch.save. */
export function invalid(why: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_INVALID',
    `Expected a pickle of torch.save, but ${why}. Download the file again.`,
  );
}
