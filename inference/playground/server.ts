/** Calls of the page to the server that it comes from: the Connect protocol in JSON. Fields with default values are absent. */

export interface ServerInfo {
  readonly version?: string;
  readonly models?: readonly { readonly role: string; readonly model?: { readonly id?: string } }[];
  readonly limits?: Limits;
}

export interface Limits {
  /** An int64: a string in JSON. */
  readonly maxMessageBytes?: string;
  readonly maxBatchItems?: number;
}

export interface Word {
  readonly text: string;
  readonly startSeconds?: number;
}

export interface Transcript {
  readonly segments?: readonly (Word & { readonly words?: readonly Word[] })[];
}

export interface ItemError {
  readonly message?: string;
}

export interface EmbeddingResult {
  readonly embedding?: { readonly values?: readonly number[] };
  readonly error?: ItemError;
}

export interface Embeddings {
  readonly results?: readonly EmbeddingResult[];
}

export interface Point {
  readonly x?: number;
  readonly y?: number;
}

export interface Face {
  readonly box?: Point & { readonly width?: number; readonly height?: number };
  readonly score?: number;
  readonly landmarks?: Readonly<Record<string, Point>>;
}

export interface FaceResults {
  readonly results?: readonly {
    readonly detections?: {
      readonly imageWidth?: number;
      readonly imageHeight?: number;
      readonly faces?: readonly Face[];
    };
    readonly error?: ItemError;
  }[];
}

/** An error of the server, with its words. */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Sends the token of the form, if any. Throws a CallError with the server's message. */
export async function call<Response>(method: string, request: unknown): Promise<Response> {
  const token = document.querySelector<HTMLInputElement>('#token')?.value.trim() ?? '';
  const response = await fetch(`/heimdex.inference.v1.InferenceService/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Response;
  const error = parsed(text);
  throw new CallError(
    error.code ?? String(response.status),
    error.message ?? `The server answered ${response.status}.`,
  );
}

function parsed(text: string): { readonly code?: string; readonly message?: string } {
  try {
    return JSON.parse(text) as { code?: string; message?: string };
  } catch {
    return {};
  }
}

/** Base64, as JSON carries bytes. */
export function base64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,?/, ''));
    reader.onerror = () => reject(reader.error ?? new Error('The file cannot be read.'));
    reader.readAsDataURL(blob);
  });
}
