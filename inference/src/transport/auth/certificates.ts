/** PEM files of certificates, read as strictly as a server's own certificate is. */
import { X509Certificate } from 'node:crypto';

/** Where a block of PEM begins: `-----BEGIN CERTIFICATE-----`. */
const BEGIN = /-----BEGIN ([^-\r\n]*)-----/g;
/** What was meant for a line that begins or ends a block, damaged ones among them. */
const MARK = /-{2,}[ \t]*(?:BEGIN|END)\b/gi;

/**
 * Throws unless the text holds at least one block of PEM and each block is a certificate; text around the blocks is allowed.
 * OpenSSL itself stops at the first block that it cannot read, without a word, and trusts what it has by then, even nobody.
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
    const place = begins.length === 1 ? 'its block of PEM' : `block ${index + 1} of its ${begins.length}`;
    if (until < 0 || until > next) throw new Error(`${place} does not end: expected ${end}`);
    try {
      new X509Certificate(text.slice(start, until + end.length));
    } catch (cause) {
      throw new Error(`${place} is no certificate that can be read (${line})`, { cause });
    }
  }
  const marks = text.match(MARK)?.length ?? 0;
  if (marks !== begins.length * 2) throw new Error('a line that begins or ends a block of PEM is damaged');
}
