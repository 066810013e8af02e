/** The second server, to which large files are redirected: signed URLs, no tokens. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Exchange, type ExchangeContext } from './exchange.js';
import { sendFile } from './send-file.js';
import type { LinkSigner } from './signed-link.js';
import type { RepositoryStore } from './store.js';

export interface CdnContext extends ExchangeContext {
  readonly store: RepositoryStore;
  readonly signer: LinkSigner;
}

/** Handles one request to the second server. */
export async function handleCdn(
  request: IncomingMessage,
  response: ServerResponse,
  context: CdnContext,
): Promise<void> {
  const link = context.signer.open(request.url ?? '');
  const about = typeof link === 'string' ? {} : { repository: link.repository, file: link.file };
  const exchange = new Exchange(request, response, context, { kind: 'bytes', ...about });
  if (!(await exchange.begin())) return;
  const expired = link === 'expired' || exchange.faults(['expire']).length > 0;
  if (expired || link === 'forged') {
    sendXml(exchange, 403, expired ? 'Request has expired' : 'The request signature does not match');
    return;
  }
  if (request.headers.authorization !== undefined) {
    // As S3 does. A client must not send its token to another host.
    sendXml(exchange, 400, 'Only one auth mechanism allowed');
    return;
  }
  const file = context.store.blob(link.blobId);
  if (file === undefined) sendXml(exchange, 404, 'The specified key does not exist');
  else await sendFile(exchange, file, { etag: `"${link.blobId}"` });
}

function sendXml(exchange: Exchange, status: number, message: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>${message}</Message></Error>`;
  exchange.send(status, { 'content-type': 'application/xml' }, body);
}
