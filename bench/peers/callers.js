/** Calls with each item from the given number of concurrent callers; resolves with the answers in order. */
export async function byCallers(callers, items, call) {
  const answers = [];
  let next = 0;
  const caller = async () => {
    while (next < items.length) {
      const index = next++;
      answers[index] = await call(items[index]);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return answers;
}

/** Splits items into calls of `size`. */
export function inCalls(items, size) {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
