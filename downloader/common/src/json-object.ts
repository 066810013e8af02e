/** A JSON object of unknown members. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value if it is an object, or an empty one. */
export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** Returns the object under a key, or an empty one. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  return asObject(object[key]);
}

/** The files of models have some ten. */
const MAX_DEPTH = 100;

/**
 * Parses JSON that somebody else wrote. Throws SyntaxError also where lists and objects lie too deep in each other: JSON.parse makes fifty
 * bytes of each bracket, and what is recursive, such as JSON.stringify, has no stack for the value.
 *
 * @param uniqueKeys - Whether an object that has a key twice is refused too. JSON.parse takes the last one, and another program may take
 * the first.
 */
export function parseForeignJson(text: string, { uniqueKeys = false } = {}): unknown {
  let depth = 0;
  let keys = 0;
  let isInText = false;
  for (const [one] of text.matchAll(/\\.|["[\]{}:]/gs)) {
    if (one === '"') isInText = !isInText;
    else if (isInText) continue;
    else if (one === '[' || one === '{') depth++;
    else if (one === ']' || one === '}') depth--;
    else if (one === ':') keys++;
    if (depth > MAX_DEPTH) throw new SyntaxError(`more than ${MAX_DEPTH} lists and objects in each other`);
  }
  const value: unknown = JSON.parse(text);
  if (uniqueKeys && keysIn(value) < keys) throw new SyntaxError('an object that has a key twice');
  return value;
}

function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const members = Object.values(value);
  return members.reduce((sum: number, one) => sum + keysIn(one), Array.isArray(value) ? 0 : members.length);
}
