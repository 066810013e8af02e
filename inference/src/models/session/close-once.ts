/** Makes closing idempotent: the first call closes, and all of them wait for it. */
export function closeOnce(close: () => Promise<unknown>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close().then(() => {});
    return closing;
  };
}
