import { generate } from 'selfsigned';

/** A certificate and its private key, in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Creates an authority, a server certificate for `name` and 127.0.0.1, and a client certificate. */
export async function makeCertificates(name: string): Promise<{ ca: KeyPair; server: KeyPair; client: KeyPair }> {
  const ca = await make('test authority', undefined, [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, critical: true },
  ]);
  const altNames = [
    { type: 2 as const, value: name },
    { type: 7 as const, ip: '127.0.0.1' },
  ];
  const server = await make(name, ca, [{ name: 'subjectAltName', altNames }]);
  return { ca, server, client: await make('test client', ca, []) };
}

async function make(
  commonName: string,
  ca: KeyPair | undefined,
  extensions: NonNullable<Parameters<typeof generate>[1]>['extensions'] & object,
): Promise<KeyPair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions,
    ...(ca !== undefined && { ca }),
  });
  return { cert, key };
}
