import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** A hub behind TLS, with a certificate that only its own authority knows. */
export interface TlsFront {
  readonly url: string;
  /** The same by the number of its host. */
  readonly numberUrl: string;
  /** File with the certificate to trust. */
  readonly caPath: string;
  close(): Promise<void>;
}

const CDN_PREFIX = '/__cdn';
const HUNDRED_YEARS_MS = 100 * 365 * 86_400_000;

/**
 * Makes a certificate in a directory, and puts TLS in front of a hub and of the host it redirects to.
 *
 * @param ip - The address that the certificate is for, besides localhost.
 * @param validFrom - When the certificate begins to be valid.
 * @param isForServers - Whether the certificate is for servers; otherwise for clients.
 */
export async function startTlsFront(
  dir: string,
  hubUrl: string,
  cdnUrl: string,
  { ip = '127.0.0.1', validFrom = new Date(0), isForServers = true } = {},
): Promise<TlsFront> {
  const caPath = join(dir, 'ca.pem');
  const altNames = [
    { type: 2 as const, value: 'localhost' },
    { type: 7 as const, ip },
  ];
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: validFrom,
    notAfterDate: new Date(validFrom.getTime() + HUNDRED_YEARS_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames },
      { name: 'extKeyUsage', serverAuth: isForServers, clientAuth: !isForServers },
    ],
  });
  await writeFile(caPath, cert);
  const server = createServer({ key, cert }, (incoming, outgoing) => {
    const path = incoming.url ?? '/';
    const target = path.startsWith(CDN_PREFIX) ? `${cdnUrl}${path.slice(CDN_PREFIX.length)}` : `${hubUrl}${path}`;
    const { host: _, ...headers } = incoming.headers;
    const onward = httpRequest(target, { method: incoming.method, headers }, (answer) => {
      const { location } = answer.headers;
      const own = location?.startsWith(cdnUrl)
        ? { location: `${url}${CDN_PREFIX}${location.slice(cdnUrl.length)}` }
        : {};
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...own });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://localhost:${port}`;
  return {
    url,
    numberUrl: `https://127.0.0.1:${port}`,
    caPath,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
