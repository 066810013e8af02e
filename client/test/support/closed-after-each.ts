/** Returns a function that keeps what a test has opened, and closes it after the test, the last first. Call it inside `describe`. */
export function closedAfterEach() {
  const kept: { close(): void }[] = [];
  afterEach(() => {
    for (const resource of kept.splice(0).reverse()) resource.close();
  });
  return <Resource extends { close(): void }>(resource: Resource): Resource => {
    kept.push(resource);
    return resource;
  };
}
