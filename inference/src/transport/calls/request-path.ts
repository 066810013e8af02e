import type { IncomingMessage } from 'node:http';

/** Longer paths are cut in messages. */
const MAX_SHOWN = 200;

/** The path of a request, without its query. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/';
}

/** The same for a message. */
export function shownPathOf(request: IncomingMessage): string {
  return pathOf(request).slice(0, MAX_SHOWN);
}
