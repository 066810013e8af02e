/** Health check of the image: exits with 0 if the server is ready, else with 1 and prints the reason. */
const address = `http://127.0.0.1:${process.env.PORT || 8001}/readyz`;

try {
  const answer = await fetch(address, { signal: AbortSignal.timeout(4000) });
  if (!answer.ok) console.error(`${address}: ${answer.status} ${await answer.text()}`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  console.error(`${address}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
