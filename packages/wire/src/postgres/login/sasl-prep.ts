/** SASLprep (RFC 4013) as PostgreSQL applies it: what cannot be prepared is used as it is. */

/** Mapped to nothing (RFC 3454, table B.1). */
const IGNORED = /\u034f|\u200d|[\ufe00-\ufe0f]|[\u180b-\u180d]|[\u00ad\u1806\u200b\u200c\u2060\ufeff]/gu;
/** Mapped to a space (table C.1.2). */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
/** Prohibited output: control characters, private use, surrogates, not characters (tables C.2 to C.9). */
const PROHIBITED =
  /[\p{Cc}\p{Co}\p{Cs}\u06dd\u070f\u180e\u200c-\u200f\u2028-\u202e\u2060-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufdd0-\ufdef\ufeff\ufff9-\uffff\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;

/** The password of which keys are made. */
export function preparedPassword(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const mapped = password.replace(SPACES, ' ').replace(IGNORED, '').normalize('NFKC');
  return mapped === '' || PROHIBITED.test(mapped) ? password : mapped;
}
