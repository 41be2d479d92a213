import type { Sign } from './table.ts';

/** An error as a PostgreSQL server says it, and where. */
export interface PgServerError {
  readonly sqlState: string;
  readonly severity: string;
  readonly message: string;
}

export interface PgErrorPlace {
  /** What the node was taken for when the statement was sent. */
  readonly role: 'primary' | 'replica';
  /** Whether the session or transaction asked for READ ONLY itself: then 25006 is its own. */
  readonly isOwnReadOnly: boolean;
  readonly isDuringLogin: boolean;
}

/** What an error of the server is a sign of; null: of nothing, it is the statement's own answer. */
export function pgSign(error: PgServerError, place: PgErrorPlace): Sign | null {
  switch (error.sqlState) {
    case '57P01':
      return error.severity === 'FATAL' ? 'shutting-down' : null;
    case '57P02':
      return 'crashed';
    case '57P03':
      return 'starting';
    case '53300':
      return place.isDuringLogin ? 'full' : null;
    case '25006':
      return place.isOwnReadOnly && place.role === 'primary' ? null : 'read-only';
    case '0A000':
    case '55000':
      return isOfRecovery(error.message) ? 'in-recovery' : null;
    case '40001':
    case '40P01':
      return place.role === 'replica' ? 'conflict' : 'rolled-back';
    case '3D000':
      return place.isDuringLogin ? 'login-refused' : null;
    default:
      return place.isDuringLogin && error.sqlState.startsWith('28') ? 'login-refused' : null;
  }
}

/**
 * Both codes mean many things. The messages of servers in other languages are not known here: then the error is passed on, which is
 * true and merely less helpful.
 */
const isOfRecovery = (message: string): boolean =>
  /recovery|hot standby/i.test(message) || /temporary or unlogged relations/i.test(message);

/** Whether a notice that comes with a commit says that it was not replicated (`syncrep.c`): the commit counts as unknown then. */
export function isNotReplicated(notice: PgServerError): boolean {
  return (
    notice.sqlState === '01000' &&
    /canceling wait for synchronous replication|canceling the wait for synchronous/i.test(notice.message)
  );
}

/** Codes of the operating system that say something of the router's own machine. */
const LOCAL_CODES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EACCES', 'EPERM']);

/** What a socket's error is a sign of. @param code its `code`; empty for an end without an error. */
export function socketSign(code: string, wasConnected: boolean): Sign {
  if (LOCAL_CODES.has(code)) return 'local';
  if (code === 'ETIMEDOUT') return wasConnected ? 'lost' : 'connect-timeout';
  return wasConnected ? 'lost' : 'refused';
}

/** Errors that a replica gives because it has not yet got what the primary has: undefined table, column, function, schema, object. */
const MISSING = new Set(['42P01', '42703', '42883', '3F000', '42704']);

export interface ReplicaRefusal {
  /** One statement outside a transaction, of whose answer nothing was forwarded. */
  readonly isAlone: boolean;
  /** Whether the replica had provably applied everything up to the last change of the schema that the router has seen. */
  readonly hasSchema: boolean;
}

/**
 * Whether a statement that a replica refused is run again on the primary. `learn`: and all of its shape go there from now on.
 */
export function afterReplicaError(error: PgServerError, refusal: ReplicaRefusal): 'pass' | 'rerun' | 'rerun-and-learn' {
  if (!refusal.isAlone) return 'pass';
  if (error.sqlState === '25006') return 'rerun-and-learn';
  if ((error.sqlState === '0A000' || error.sqlState === '55000') && isOfRecovery(error.message))
    return 'rerun-and-learn';
  if (error.sqlState === '40001' || error.sqlState === '40P01') return 'rerun';
  return MISSING.has(error.sqlState) && !refusal.hasSchema ? 'rerun' : 'pass';
}
