/** Whether an address has a user or a password. */
export function hasCredentials({ username, password }: Pick<URL, 'username' | 'password'>): boolean {
  return username + password !== '';
}

/** Returns whether the user and the password of an address can be decoded, as they are before they are sent: a % is written as %25. */
export function isDecodable({ username, password }: Pick<URL, 'username' | 'password'>): boolean {
  try {
    decodeURIComponent(username);
    decodeURIComponent(password);
    return true;
  } catch {
    return false;
  }
}

/** The name and the password of an invalid address are not shown. */
export function withoutCredentials(text: string): string {
  return text.replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, '$1...@');
}
