/** What went wrong with one request to one endpoint, and what that says about its effect. */

import type { StoreErrorCode } from '../errors.ts';
import { errorResponse } from './messages.ts';

export interface Failure {
  readonly endpoint: string;
  readonly code: StoreErrorCode;
  /** `none`: certainly without effect. `unknown`: may have taken effect. */
  readonly effect: 'none' | 'unknown';
  /** What another attempt needs: another `endpoint` or moment, a new `token`, or `nothing` will help. */
  readonly helps: 'endpoint' | 'token' | 'nothing';
  readonly text: string;
}

/** gRPC status codes (grpc.io, status codes) that the gateway passes on. */
const GRPC = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  EXHAUSTED: 8,
  PRECONDITION: 9,
  UNAVAILABLE: 14,
};
const GRPC_OUT_OF_RANGE = 11;
const GRPC_UNAUTHENTICATED = 16;

/**
 * Codes with which etcd itself refuses a request, either before proposing it or when applying it without effect.
 * Unavailable, deadline exceeded, cancelled, unknown and internal are absent: the request may have been applied.
 */
const REFUSALS = new Set<number>([
  GRPC.INVALID_ARGUMENT,
  GRPC.NOT_FOUND,
  GRPC.PERMISSION_DENIED,
  GRPC.EXHAUSTED,
  GRPC.PRECONDITION,
  GRPC_OUT_OF_RANGE,
  GRPC_UNAUTHENTICATED,
]);

/** The token is unknown (expired, or the member restarted) or older than the last change of users and roles. */
const STALE_TOKEN = /invalid auth token|revision in header is old|revision of auth store is old/;
/** A member without leader refuses before doing anything because the requests ask for one ("hasleader"). */
const NO_LEADER = 'etcdserver: no leader';

/** etcd with users: a certificate with a common name would be a user beside that of the password, so its gateway takes none. */
const COMMON_NAME = /^CommonName of client/;

/** Judges an answer that is not HTTP 200. `body` is its JSON, or its text (null: none) when it is not JSON. */
export function judgeAnswer(endpoint: string, status: number, body: unknown): Failure {
  const parsed = errorResponse.safeParse(body);
  if (parsed.success && parsed.data.text !== 'Not Found')
    return judgeStatus(endpoint, parsed.data.code, parsed.data.text);
  if (status === 400 && typeof body === 'string' && COMMON_NAME.test(body)) {
    const text =
      'etcd with users takes no client certificate with a common name: make one with "understudy cert client --etcd" for store.tls';
    return { endpoint, code: 'unauthorized', effect: 'none', helps: 'nothing', text };
  }
  if (status >= 500) {
    const text = `HTTP ${status} from something in front of etcd`;
    return { endpoint, code: 'unavailable', effect: 'unknown', helps: 'endpoint', text };
  }
  const hint =
    status === 404
      ? 'has no JSON gateway: etcd 3.4 or newer with enable-grpc-gateway is needed'
      : 'this is not an answer of etcd; is it a proxy, or TLS where plain HTTP was spoken?';
  return { endpoint, code: 'protocol-error', effect: 'unknown', helps: 'endpoint', text: `HTTP ${status}: ${hint}` };
}

/** Judges a gRPC status, from an error answer or from inside a stream. */
export function judgeStatus(endpoint: string, grpcCode: number, text: string): Failure {
  if (STALE_TOKEN.test(text)) return { endpoint, code: 'unauthorized', effect: 'none', helps: 'token', text };
  if (text === NO_LEADER) return { endpoint, code: 'unavailable', effect: 'none', helps: 'endpoint', text };
  const effect = REFUSALS.has(grpcCode) && /^(etcdserver|auth|mvcc|lease):? /.test(text) ? 'none' : 'unknown';
  if (effect === 'unknown') return { endpoint, code: 'unavailable', effect, helps: 'endpoint', text };
  const helps = text.includes('too many requests') ? 'endpoint' : 'nothing';
  return { endpoint, code: codeOfRefusal(grpcCode, text), effect, helps, text };
}

/** Judges a connection that failed. `sent` tells whether any byte of the request may have reached the server. */
export function judgeConnection(endpoint: string, error: Error, sent: boolean): Failure {
  const sign = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const text = describeConnectionError(error, sign);
  const isTls = /^(ERR_SSL|ERR_TLS|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/.test(sign);
  return {
    endpoint,
    code: isTls ? 'unauthorized' : 'unavailable',
    effect: sent ? 'unknown' : 'none',
    helps: 'endpoint',
    text,
  };
}

function codeOfRefusal(grpcCode: number, text: string): StoreErrorCode {
  if (text.includes('lease not found')) return 'lease-expired';
  if (text.includes('space exceeded')) return 'store-full';
  if (text.includes('too many requests')) return 'unavailable';
  if (grpcCode === GRPC.PERMISSION_DENIED || grpcCode === GRPC_UNAUTHENTICATED) return 'unauthorized';
  // "user name is empty", "authentication failed, invalid user ID or password" come as invalid argument.
  return /user|auth|password/.test(text) ? 'unauthorized' : 'invalid-argument';
}

function describeConnectionError(error: Error, sign: string): string {
  switch (sign) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name cannot be resolved';
    case 'EPROTO':
      return 'no TLS spoken there (or no common version)';
    default:
      return error.message;
  }
}
