/** Errors of this package: one table of codes, which is also their documentation. */
export const CERT_ERROR_CODES = {
  CERT_INPUT: 'A name, address or duration that was given cannot be put into a certificate.',
  CERT_EXISTS: 'A file that would be made is there already. Nothing was changed.',
  CERT_UNREADABLE: 'A certificate or key cannot be read, or is none.',
  CERT_MISMATCH: 'A key does not belong to its certificate, or a certificate is not of this authority.',
  CERT_EXPOSED: "The authority's key can be read by other users.",
  CERT_WRITE_FAILED: 'A file cannot be written.',
} as const;

export type CertErrorCode = keyof typeof CERT_ERROR_CODES;

/** The error of this package. `message` says cause and next step, and never quotes a key. */
export class CertError extends Error {
  override readonly name = 'CertError';
  readonly code: CertErrorCode;
  readonly retry: 'safe' | 'unsafe' | 'unknown';

  constructor(
    code: CertErrorCode,
    message: string,
    retry: 'safe' | 'unsafe' | 'unknown' = 'unsafe',
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.retry = retry;
  }
}

/** What went wrong, for the middle of a sentence. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
