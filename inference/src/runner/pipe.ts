/** A bidirectional pipe of frames, used on both ends. */
import type { Duplex } from 'node:stream';
import { encodeFrame, FrameReader } from './frames.js';

/** The pipe's file descriptor in a worker. */
export const WORKER_PIPE_FD = 3;

export interface FramePipe<Message> {
  /** Queues a message for writing. Does nothing once the pipe is closed: `closed` reports that. */
  send(message: Message): void;
  close(): void;
}

export interface FramePipeHandlers {
  message(message: unknown): void;
  /** Called once, when the pipe is closed or received an invalid frame. */
  closed(error: Error | undefined): void;
}

export function openFramePipe<Message>(stream: Duplex, handlers: FramePipeHandlers): FramePipe<Message> {
  const reader = new FrameReader();
  let closed = false;
  const close = (error: Error | undefined) => {
    if (closed) return;
    closed = true;
    stream.destroy();
    handlers.closed(error);
  };
  stream.on('data', (chunk: Uint8Array) => {
    let messages: unknown[];
    try {
      messages = reader.push(chunk);
    } catch (error) {
      close(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    for (const message of messages) if (!closed) handlers.message(message);
  });
  stream.on('error', close);
  stream.on('end', () => close(undefined));
  stream.on('close', () => close(undefined));
  return {
    send(message) {
      if (closed) return;
      stream.cork();
      for (const chunk of encodeFrame(message)) stream.write(chunk);
      stream.uncork();
    },
    close: () => close(undefined),
  };
}
