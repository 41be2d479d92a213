/** Errors of this package: one table of codes, which is also their documentation. */
export const ROUTING_ERROR_CODES = {
  TOKEN_MALFORMED: 'The text is no token of this version.',
  TOKEN_FORGED: 'The token was not made with a key of this cluster, or was changed.',
  TOKEN_FOREIGN: 'The token belongs to another cluster.',
  TOKEN_EXPIRED: 'The token is older than the cluster accepts, or older than the known history reaches.',
  TOKEN_LOST: 'What the token stands for is not in the history of the present primary.',
  TOKEN_TOO_LARGE: 'The token has more entries than may be sent; reduce it by the topology first.',
  SETTING_INVALID: 'A routing setting has a value that it does not know.',
  NO_FRESH_NODE: 'No node that may be used is provably fresh enough.',
  POOL_READS_ONLY: 'The statement needs the primary, which its pool does not reach.',
  NO_NODE: 'No node of the pool can be used.',
  TRANSACTION_ON_REPLICA: 'The transaction runs on a replica and needs the primary now.',
} as const;

export type RoutingErrorCode = keyof typeof ROUTING_ERROR_CODES;

/** `safe`: nothing was done, the same call may be made again. `unsafe`: something has to change first. */
export type Retry = 'safe' | 'unsafe' | 'unknown';

export interface RoutingErrorDetails {
  readonly retry: Retry;
  /** What the client is told on the wire; the engines without SQLSTATE map it. */
  readonly sqlState: string;
  readonly nextStep: string;
}

/** The error of this package. Decisions return it as a value; nothing here throws it but where a docstring says so. */
export class RoutingError extends Error {
  override readonly name = 'RoutingError';
  readonly code: RoutingErrorCode;
  readonly retry: Retry;
  readonly sqlState: string;
  readonly nextStep: string;

  constructor(code: RoutingErrorCode, message: string, details: RoutingErrorDetails) {
    super(message);
    this.code = code;
    this.retry = details.retry;
    this.sqlState = details.sqlState;
    this.nextStep = details.nextStep;
  }
}
