/** What one message may hold where nobody says otherwise: the server's default, 64 MiB. */
export const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** The reason of a request that is larger than the server takes in one message. */
export const MESSAGE_TOO_LARGE = 'MESSAGE_TOO_LARGE';

/** What to do about it. */
export function insteadOf(method: string): string {
  return method === 'Transcribe'
    ? 'Send the audio with client.transcribeFile or client.transcribeStream (TranscribeStream): a stream may be of any size.'
    : 'Send fewer items a call.';
}

/** What is said of a request of this side that is too large. */
export function tooLargeText(method: string, bytes: number, maxBytes: number): string {
  return `The request of ${method} has ${bytes} bytes; the server takes ${maxBytes} in one message. ${insteadOf(method)}`;
}
