/** The plain value of parsed JSON. */
import { toJson } from '@bufbuild/protobuf';
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { invalidParameter } from './parameters.js';

/** Throws INVALID_ARGUMENT that names the field of a number beyond those of JSON's readers, such as 1e999. */
export function plainJson(value: Value): unknown {
  const path = overflowIn(value, '');
  if (path !== undefined) throw invalidParameter(path, 'its number is too large.');
  return toJson(ValueSchema, value);
}

/** The path of the first infinite number; undefined if there is none. Values are at most 32 deep. */
function overflowIn({ kind }: Value, path: string): string | undefined {
  if (kind.case === 'numberValue') return Number.isFinite(kind.value) ? undefined : path;
  if (kind.case === 'listValue') return firstOf(kind.value.values.entries(), (index) => `${path}[${index}]`);
  if (kind.case !== 'structValue') return undefined;
  return firstOf(Object.entries(kind.value.fields), (name) => (path === '' ? name : `${path}.${name}`).slice(0, 100));
}

function firstOf<Key>(entries: Iterable<readonly [Key, Value]>, pathOf: (key: Key) => string): string | undefined {
  for (const [key, value] of entries) {
    const path = overflowIn(value, pathOf(key));
    if (path !== undefined) return path;
  }
  return undefined;
}
