/** Names of the gRPC status codes, indexed by number. */
export const STATUS_CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** Name of a gRPC status code. */
export type StatusCode = (typeof STATUS_CODES)[number];

/** Returns the name of a status number; UNKNOWN for an undefined one. */
export function statusCodeOf(number: number): StatusCode {
  return STATUS_CODES[number] ?? 'UNKNOWN';
}
