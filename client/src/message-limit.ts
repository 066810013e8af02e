/** The lowest message limit that a server can be given: up to it, a request is sent without asking for the limit. */
export const MIN_MAX_MESSAGE_BYTES = 1024 * 1024;

/** The reason of a request that exceeds the server's message limit. */
export const MESSAGE_TOO_LARGE = 'MESSAGE_TOO_LARGE';

/** Returns the advice for a request of `method` that is too large. */
export function tooLargeRemedy(method: string): string {
  return method === 'Transcribe'
    ? 'Send the audio with client.transcribeFile or client.transcribeStream (TranscribeStream), which have no size limit.'
    : 'Send fewer items per call, or smaller ones.';
}

/** Returns the message for a request that the client itself found to be too large. */
export function tooLargeMessage(method: string, bytes: number, maxBytes: number): string {
  return `The ${method} request has ${bytes} bytes; the server accepts ${maxBytes} per message. ${tooLargeRemedy(method)}`;
}
