/**
 * Calls of the page to the server that it comes from: the Connect protocol in JSON, with the types of the contract. Fields with default
 * values are absent. Addresses are relative to the page's, which a proxy may have below a path.
 */
import type { MessageJsonType } from '@bufbuild/protobuf';
import type { InferenceService } from '@heimdex/gen';

type Methods = (typeof InferenceService)['method'];
type UnaryKey = { [Key in keyof Methods]: Methods[Key]['methodKind'] extends 'unary' ? Key : never }[keyof Methods];
/** As the contract writes the names of methods. */
type MethodName = Capitalize<UnaryKey>;
type Method<Name extends MethodName> = Methods[Uncapitalize<Name>];
type Request<Name extends MethodName> = MessageJsonType<Method<Name>['input']>;
type Response<Name extends MethodName> = MessageJsonType<Method<Name>['output']>;

/** An error of the server, with its words. */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Sends the token of the form, if any. Throws a CallError with the server's message, or for a server that cannot be reached. */
export async function call<Name extends MethodName>(method: Name, request: Request<Name>): Promise<Response<Name>> {
  const token = document.querySelector<HTMLInputElement>('#token')?.value.trim() ?? '';
  const unreachable = (cause: unknown) => {
    throw new CallError('unreachable', `The server cannot be reached: is it still running? (${String(cause)})`);
  };
  const response = await fetch(`heimdex.inference.v1.InferenceService/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(request),
  }).catch(unreachable);
  const text = await response.text().catch(unreachable);
  if (response.ok) return JSON.parse(text) as Response<Name>;
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
