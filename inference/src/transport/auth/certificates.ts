/** PEM certificates, parsed as strictly as a server's own certificate. */
import { X509Certificate } from 'node:crypto';

/** Start of a PEM block: `-----BEGIN CERTIFICATE-----`. */
const BEGIN = /-----BEGIN ([^-\r\n]*)-----/g;
/** Lines intended as the start or end of a block, including damaged ones. */
const MARK = /-{2,}[ \t]*(?:BEGIN|END)\b/gi;

/**
 * Throws unless the text contains at least one PEM block and each block is a certificate. Text around the blocks is
 * allowed. OpenSSL itself silently stops at the first block it cannot read and trusts only those before it, possibly
 * none.
 */
export function checkCertificates(pem: Buffer): void {
  const text = pem.toString('latin1');
  const begins = [...text.matchAll(BEGIN)];
  if (begins.length === 0) {
    throw new Error('expected certificates in PEM form (-----BEGIN CERTIFICATE-----), found none');
  }
  for (const [index, { index: start, 0: line, 1: label = '' }] of begins.entries()) {
    const end = `-----END ${label}-----`;
    const until = text.indexOf(end, start + line.length);
    const next = begins[index + 1]?.index ?? text.length;
    const block = begins.length === 1 ? 'its block of PEM' : `block ${index + 1} of its ${begins.length}`;
    if (until < 0 || until > next) throw new Error(`${block} does not end: expected ${end}`);
    try {
      new X509Certificate(text.slice(start, until + end.length));
    } catch (cause) {
      throw new Error(`${block} is not a readable certificate (${line})`, { cause });
    }
  }
  const marks = text.match(MARK)?.length ?? 0;
  if (marks !== begins.length * 2) throw new Error('a line that begins or ends a block of PEM is damaged');
}
