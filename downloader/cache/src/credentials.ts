/** Returns whether a user or a password of an address can be decoded, as it is before it is sent: a % is written as %25. */
export function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The name and the password of an invalid address are not shown. */
export function withoutCredentials(text: string): string {
  return text.replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, '$1...@');
}
