/** The image's health check: 0 when this container's server says that it is ready for calls, 1 with the reason else. */
const address = `http://127.0.0.1:${process.env.PORT || 8001}/readyz`;

try {
  const answer = await fetch(address, { signal: AbortSignal.timeout(4000) });
  if (!answer.ok) console.error(`${address}: ${answer.status} ${await answer.text()}`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  console.error(`${address}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
