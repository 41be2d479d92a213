/**
 * What the router sees go wrong. Closed: every error of a server or socket is one of these, or none of the router's business.
 */
export const SIGNS = {
  refused: 'No connection: nobody listens, or no way leads there.',
  'connect-timeout': 'No connection within its deadline.',
  starting: '57P03: the server starts, stops or recovers and takes no sessions.',
  full: '53300: the server has no session left.',
  'login-refused': 'Class 28, 3D000: the server does not let this user or database in.',
  'no-primary': 'The topology knows no node that is open for writes.',
  lost: 'An established connection ended without a word.',
  silent: 'An established connection says nothing, longer than its deadline.',
  'shutting-down': '57P01: the server ends the session.',
  crashed: '57P02: the server ends all sessions after a crash.',
  protocol: 'The server said something that the protocol does not allow there.',
  'read-only':
    '25006 in a session that did not ask for read only: the node is no primary (any more), or a read was none.',
  'in-recovery': '0A000, 55000: the server cannot do this during recovery.',
  conflict: '40001, 40P01 on a replica: recovery needed what the statement was using.',
  'rolled-back': '40001, 40P01 on the primary: two transactions collided.',
  'not-replicated': 'A warning with a commit: the wait for its replication was cancelled.',
  announced: 'The agents announced a planned switchover; the primary still runs.',
  superseded: 'A newer epoch exists, and the connection is of an older one.',
  local: "The router's own fault: no file descriptor, no memory, no port.",
} as const;
export type Sign = keyof typeof SIGNS;

/** What the topology says at that moment. */
export const PHASES = {
  open: 'the node leads and is open',
  switching: 'a switchover was announced',
  promoting: 'no node is open for writes',
  moved: 'a newer epoch is open elsewhere',
  unseen: 'nothing is heard of the agents',
} as const;
export type FailoverPhase = keyof typeof PHASES;

/** What had been sent to the server for this session, and what of the answer had gone on to the client. */
export const SENT = {
  idle: 'nothing is under way, no transaction, no state of its own',
  pinned: 'nothing is under way, no transaction, but state that only this server session has',
  nothing: 'a statement outside a transaction (a login, a Describe) waits to be sent',
  read: 'a confirmed read outside a transaction was sent; no byte of the answer was forwarded',
  'read-forwarded': 'the same, and a part of the answer was forwarded',
  write: 'any other statement outside a transaction was sent; no byte of the answer was forwarded',
  'write-forwarded': 'the same, and a part of the answer was forwarded',
  copy: 'data of a COPY outside a transaction was sent, its end was not',
  'transaction-idle': 'a transaction is open, nothing is under way',
  transaction: 'a transaction is open, a statement of it was sent',
  commit: 'the end of a transaction (COMMIT, PREPARE TRANSACTION) was sent',
} as const;
export type Sent = keyof typeof SENT;

/**
 * - `pass`: nothing is done: the answer is awaited, or the server's own error goes to the client.
 * - `hold`: the statement waits for a node that may run it, and is sent as if for the first time: it had no effect.
 * - `replay`: the read is sent again, elsewhere if need be.
 * - `refuse`: an error that is true and says whether a retry is safe; nothing of the statement or transaction took effect.
 * - `unknown`: 08007: whether it took effect cannot be known. Never sent again by the router.
 */
export const ACTIONS = ['pass', 'hold', 'replay', 'refuse', 'unknown'] as const;
export type FailoverAction = (typeof ACTIONS)[number];

type Row = Readonly<Record<Sent, FailoverAction>>;

/** The connection is gone. What may have committed is unknown; a transaction whose end was not sent is rolled back. */
const GONE: Row = {
  idle: 'pass',
  pinned: 'refuse',
  nothing: 'hold',
  read: 'replay',
  'read-forwarded': 'refuse',
  write: 'unknown',
  'write-forwarded': 'unknown',
  copy: 'refuse',
  'transaction-idle': 'refuse',
  transaction: 'refuse',
  commit: 'unknown',
};

/** No session came about, so nothing was sent. With a session these cannot come; if one does, its connection counts as gone. */
const NOT_REACHED: Row = GONE;

/** The server said no to one statement, which had no effect. An error as answer to COMMIT rolled back. */
const REJECTED: Row = {
  ...GONE,
  pinned: 'pass',
  'read-forwarded': 'pass',
  write: 'hold',
  'write-forwarded': 'pass',
  commit: 'refuse',
};

/** The server's own error is the answer. */
const ANSWERED: Row = {
  idle: 'pass',
  pinned: 'pass',
  nothing: 'pass',
  read: 'pass',
  'read-forwarded': 'pass',
  write: 'pass',
  'write-forwarded': 'pass',
  copy: 'pass',
  'transaction-idle': 'pass',
  transaction: 'pass',
  commit: 'pass',
};

/** A slow statement looks the same: while the node leads, or nobody says that it does not, its answer is awaited. */
const SILENT: Readonly<Record<FailoverPhase, Row>> = {
  open: { ...ANSWERED, nothing: 'hold' },
  switching: { ...ANSWERED, nothing: 'hold' },
  promoting: GONE,
  moved: GONE,
  unseen: { ...ANSWERED, nothing: 'hold' },
};

const TABLE: Readonly<Record<Sign, Row | Readonly<Record<FailoverPhase, Row>>>> = {
  refused: NOT_REACHED,
  'connect-timeout': NOT_REACHED,
  starting: NOT_REACHED,
  full: NOT_REACHED,
  'login-refused': { ...NOT_REACHED, nothing: 'pass' },
  'no-primary': NOT_REACHED,
  lost: GONE,
  silent: SILENT,
  // It may be said behind a commit that was made and not confirmed: what was sent last is no more certain than without the word.
  'shutting-down': GONE,
  crashed: GONE,
  protocol: GONE,
  'read-only': REJECTED,
  'in-recovery': REJECTED,
  conflict: { ...ANSWERED, nothing: 'hold', read: 'replay' },
  'rolled-back': ANSWERED,
  'not-replicated': { ...ANSWERED, write: 'unknown', 'write-forwarded': 'unknown', commit: 'unknown' },
  // What is under way may end; new work waits, so that the primary runs dry before it stops.
  announced: { ...ANSWERED, nothing: 'hold' },
  superseded: GONE,
  local: { ...GONE, nothing: 'refuse' },
};

/** What happens, by sign, phase and what was sent. */
export function failoverAction(sign: Sign, phase: FailoverPhase, sent: Sent): FailoverAction {
  const found = TABLE[sign];
  return 'idle' in found ? found[sent] : found[phase][sent];
}

/** What a sign means beside the statement that met it. */
export interface SignEffects {
  /** Every pooled connection to that node of its epoch or an older one is closed: one refusal tells of all. */
  readonly purge: boolean;
  /** Counts towards taking the node out. A local fault never does, nor a refusal that is the application's. */
  readonly blame: boolean;
  /** The topology is to be asked again at once. */
  readonly refresh: boolean;
  /** The server connection can be used no more. */
  readonly closes: boolean;
}

const effects = (...set: readonly (keyof SignEffects)[]): SignEffects => ({
  purge: set.includes('purge'),
  blame: set.includes('blame'),
  refresh: set.includes('refresh'),
  closes: set.includes('closes'),
});

export const SIGN_EFFECTS: Readonly<Record<Sign, SignEffects>> = {
  refused: effects('blame', 'refresh', 'closes'),
  'connect-timeout': effects('blame', 'refresh', 'closes'),
  starting: effects('blame', 'refresh', 'closes'),
  full: effects('blame', 'closes'),
  'login-refused': effects('closes'),
  'no-primary': effects('refresh'),
  lost: effects('blame', 'refresh', 'closes'),
  silent: effects('blame', 'refresh'),
  'shutting-down': effects('refresh', 'closes'),
  crashed: effects('blame', 'refresh', 'closes', 'purge'),
  protocol: effects('blame', 'closes'),
  'read-only': effects('purge', 'refresh'),
  'in-recovery': effects('refresh'),
  conflict: effects(),
  'rolled-back': effects(),
  'not-replicated': effects('refresh'),
  announced: effects(),
  superseded: effects('purge', 'closes'),
  local: effects(),
};
