/** The configured certificates and tokens. Both may change while the server runs. */
import { messageOf } from '@heimdex/common';
import type { Logger } from 'pino';
import type { Config } from '../../config/config.js';
import { FatalError } from '../../exit-codes.js';
import { createTlsServer, type TlsPort } from './tls.js';
import { Tokens } from './tokens.js';
import { watchFiles } from './watched-file.js';

export interface Security {
  readonly tls: TlsPort | undefined;
  readonly tokens: Tokens | undefined;
  close(): void;
}

/** Rejects with a FatalError when a file is unreadable or invalid. */
export async function openSecurity(
  options: Pick<Config['security'], 'tls' | 'authTokensPath'>,
  log: Logger,
): Promise<Security> {
  const observer = (what: string) => ({
    changed: () => log.info({ what }, 'reloaded'),
    failed: (err: unknown) => log.error({ what, err }, 'reload failed; the previous one stays in use'),
  });
  const expired = (atMs: number) =>
    log.error({ expiredAt: new Date(atMs).toISOString() }, 'the certificate in use has expired: renew TLS_CERT_FILE');
  const { tls: certificate, authTokensPath: path } = options;
  const tls = certificate && (await createTlsServer(certificate, { ...observer('certificate'), expired }));
  if (path === undefined) return { tls, tokens: undefined, close: () => tls?.files.close() };
  const tokens = new Tokens();
  try {
    const files = await watchFiles({
      paths: [path],
      apply: ([content = Buffer.alloc(0)]) => tokens.replace(content),
      ...observer('tokens'),
    });
    return {
      tls,
      tokens,
      close() {
        tls?.files.close();
        files.close();
      },
    };
  } catch (cause) {
    tls?.files.close();
    const what = messageOf(cause);
    throw new FatalError('configuration', `AUTH_TOKENS_FILE ${path} cannot be used: ${what}.`, { cause });
  }
}
