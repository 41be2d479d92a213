export { type Ensured, ensureAuthority, ensureCertificate } from './ensure.ts';
export { CertError, type CertErrorCode } from './errors.ts';
export { authorityPaths, type PairPaths, pairPaths } from './files.ts';
export { type CertificateView, EXPIRES_SOON_MS, inspect, inspectFile, type Validity, validityOf } from './inspect.ts';
export {
  type AuthorityRequest,
  type CertificateRequest,
  DEFAULT_AUTHORITY_DAYS,
  DEFAULT_DAYS,
  type Existing,
  type Made,
  makeAuthority,
  makeCertificate,
} from './make.ts';
export { LOCALHOST, type Names } from './names.ts';
