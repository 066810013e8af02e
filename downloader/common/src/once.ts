/** Returns a function that calls `make` at its first call, and returns the same value from then on. */
export function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
