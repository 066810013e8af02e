import { tmpdir } from 'node:os';

/** The user's npm settings in the form that npm's libraries accept: registry, tokens, proxy, certificates, cache. */
export type NpmSettings = Readonly<Record<string, unknown>>;

/**
 * Reads npm's settings as npm does: `.npmrc` of the project, the user and the machine, and `npm_config_...` variables. The
 * libraries are imported on first use.
 *
 * @param timeoutMs - No answer from the registry for this long is a stall.
 */
export async function readNpmSettings(env: NodeJS.ProcessEnv, timeoutMs: number): Promise<NpmSettings> {
  const [{ default: Config }, { default: definitions }] = await Promise.all([
    import('@npmcli/config'),
    import('@npmcli/config/lib/definitions/index.js'),
  ]);
  const config = new Config({
    ...definitions,
    // npm's own directory, where a distribution may store settings; there is none here.
    npmPath: tmpdir(),
    argv: [process.execPath, 'heimdex-downloader'],
    // A copy: the library modifies the variables.
    env: { ...env },
    cwd: process.cwd(),
    warn: false,
  });
  await config.load();
  // The downloader counts attempts itself.
  return { ...config.flat, timeout: timeoutMs, fetchRetries: 0, retry: { retries: 0 } };
}
