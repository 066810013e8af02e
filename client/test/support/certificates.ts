import { generate } from 'selfsigned';

/** A certificate and its private key, in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Key pairs of one authority, and its own. */
export interface Certificates {
  readonly ca: KeyPair;
  readonly server: KeyPair;
  /** A server's that has expired. */
  readonly expired: KeyPair;
  readonly client: KeyPair;
}

/** Creates an authority, server certificates for `name` and 127.0.0.1, and a client certificate. */
export async function makeCertificates(name: string): Promise<Certificates> {
  const ca = await make('test authority', undefined, [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, critical: true },
  ]);
  const altNames = [
    { type: 2 as const, value: name },
    { type: 7 as const, ip: '127.0.0.1' },
  ];
  const [server, expired, client] = await Promise.all([
    make(name, ca, [{ name: 'subjectAltName', altNames }]),
    make(name, ca, [{ name: 'subjectAltName', altNames }], new Date(Date.now() - 86_400_000)),
    make('test client', ca, []),
  ]);
  return { ca, server, expired, client };
}

async function make(
  commonName: string,
  ca: KeyPair | undefined,
  extensions: NonNullable<Parameters<typeof generate>[1]>['extensions'] & object,
  notAfterDate?: Date,
): Promise<KeyPair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions,
    ...(notAfterDate !== undefined && { notBeforeDate: new Date(0), notAfterDate }),
    ...(ca !== undefined && { ca }),
  });
  return { cert, key };
}
