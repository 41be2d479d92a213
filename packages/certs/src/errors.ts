import { defineErrors } from '@understudy/base';

/** The errors of this package. No text quotes a key. */
export const CertError = defineErrors('CertError', {
  CERT_INPUT: {
    meaning: 'A name, address or duration that was given cannot be put into a certificate.',
    retry: 'unsafe',
    next: 'Correct what was given.',
  },
  CERT_EXISTS: {
    meaning: 'A file that would be made is there already. Nothing was changed.',
    retry: 'unsafe',
    next: 'Add --renew for a new certificate with the same key, --force for both anew.',
  },
  CERT_UNREADABLE: {
    meaning: 'A certificate or key cannot be read, or is none.',
    retry: 'unsafe',
    next: 'Correct the path or its permissions.',
  },
  CERT_MISMATCH: {
    meaning: 'A key does not belong to its certificate, or a certificate is not of this authority.',
    retry: 'unsafe',
    next: 'Name the files that belong together.',
  },
  CERT_EXPOSED: {
    meaning: "The authority's key can be read by other users.",
    retry: 'unsafe',
    next: 'Run chmod 0600 on it.',
  },
  CERT_WRITE_FAILED: {
    meaning: 'A file cannot be written.',
    retry: 'safe',
    next: 'Correct the path or its permissions.',
  },
});

export type CertError = InstanceType<typeof CertError>;
export type CertErrorCode = CertError['code'];
