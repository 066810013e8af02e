/** Formats a result as one line of JSON, with times of three decimals: 47.32 seconds, not 47.32000000000001. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (name, member: unknown) =>
    typeof member === 'number' && /(Seconds|Ms)$/.test(name) ? Math.round(member * 1000) / 1000 : member,
  );
}
