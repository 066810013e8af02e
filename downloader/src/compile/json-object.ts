export type JsonObject = Readonly<Record<string, unknown>>;

/** Undefined if a value is not an object. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Returns the object under a key, or an empty one. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  return objectOf(object[key]) ?? {};
}
