/** The gRPC status codes by name, at the place of their number. */
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

/** One of gRPC's status codes, by name. */
export type StatusCode = (typeof STATUS_CODES)[number];

/** The name of a status number; a number that gRPC does not know is UNKNOWN. */
export function statusCodeOf(number: number): StatusCode {
  return STATUS_CODES[number] ?? 'UNKNOWN';
}
