import type { NodeAddress } from '@understudy/local';
import type { Outcome } from '../workload/op.ts';
import type { Answer, Session, Target } from './session.ts';

export const drillDatabase = 'drill';
export const drillRole = 'drill_app';

/** The database of every tutorial: a company and what it pays. Money is exact: DECIMAL, compared as text. */
export const companyDatabase = 'company_db';

export const employees = [
  [1, 'Alice', '5200.50', 'Engineering'],
  [2, 'Bob', '4100.00', 'Sales'],
  [3, 'Carol', '6150.75', 'Engineering'],
  [4, 'Dmitri', '3999.99', 'Support'],
  [5, 'Eleni', '7300.10', 'Management'],
  [6, 'Farid', '4820.25', 'Sales'],
  [7, 'Grace', '5675.00', 'Engineering'],
  [8, 'Hiroshi', '4310.40', 'Support'],
] as const;

/** How an insert of the workload ended, and on which history line when the server said so. */
export interface Inserted {
  readonly outcome: Outcome;
  readonly timeline: number | null;
  readonly completeMs: number;
  /** SQLSTATE, number or system code of what went wrong; null when nothing did. */
  readonly problem: string | null;
}

/** What a server says of itself. */
export interface Look {
  readonly state: 'writable' | 'read-only';
  /** The history line that it writes; null for one that does not write. */
  readonly timeline: number | null;
}

/** A part of one of the files below a data directory. */
export interface Spot {
  readonly file: string;
  readonly fromByte: number;
  readonly toByte: number;
}

/** One kind of database server, as the workload and the checks use it. */
export interface Database {
  /** The database in which others can be made. */
  readonly adminDatabase: string;
  /** What follows the type of a column that numbers its rows itself. */
  readonly numbered: string;
  /** How the value at a place, from 1 on, is named in a statement. */
  placeholder(place: number): string;
  /** Connects and logs in; null when that was not possible in time. */
  open(target: Target, timeoutMs: number): Promise<Session | null>;
  /** The host of a {@link Target} that goes over the node's Unix socket. */
  socketHost(address: NodeAddress): string;
  /** Whom the server believes over its socket, whatever happens to the network. */
  insert(session: Session, row: { readonly id: number; readonly writer: number }, timeoutMs: number): Promise<Inserted>;
  /** What the answer to a question for the role says; null when it was an error. The question is cheap: it is asked all the time. */
  look(session: Session, timeoutMs: number): Promise<Look | null>;
  /** Makes the drill's role and its database, as administrator. */
  createRole(admin: Session, password: string): Promise<void>;
  /** Makes the drill's tables in its database. */
  createTables(session: Session): Promise<void>;
  /** Makes `company_db`, by the administrator's connection. */
  createCompany(admin: Session): Promise<void>;
  /** Loads `company_db`, by a connection to it. */
  loadCompany(session: Session): Promise<void>;
  /** How far a primary has come with everything that was acknowledged before. */
  end(session: Session): Promise<string>;
  /** Why a server is not a replica that has applied everything up to `end`; null when it is. */
  behind(session: Session, end: string): Promise<string | null>;
  /** Writes on the primary, and returns where that ended. */
  mark(session: Session, timeoutMs: number): Promise<string>;
  /** Waits until a server has applied up to `mark`. @throws Error when the time is over */
  reach(session: Session, mark: string, timeoutMs: number): Promise<void>;
  /** Lets a replica receive without applying, until it is started again. */
  stopApplying(session: Session): Promise<void>;
  /** Lets what comes from now on go to another file, where the engine can: damage is then in the middle of what was received. */
  closeReceived(session: Session): Promise<void>;
  /** Where on the disk of such a replica lies what it has received and not applied; null when there is nothing. */
  unapplied(session: Session, dataDir: string): Promise<Spot | null>;
  idsFrom(session: Session, fromId: number, timeoutMs: number): Promise<ReadonlySet<number>>;
  /** Number of rows and a sum over all their contents that does not depend on their order, in a line. */
  contentOf(session: Session, table: 'ids' | 'Employees', timeoutMs: number): Promise<string>;
  /** Names of the databases that are not the server's own. */
  databases(admin: Session): Promise<readonly string[]>;
  /** A checksum over all rows of each table in the session's database, whatever their order. */
  checksums(session: Session, timeoutMs: number): Promise<ReadonlyMap<string, string>>;
  /** Sum of the salaries, as exact text. */
  salaries(session: Session): Promise<string>;
}

/** What an answer to an insert says, before the history line is known. */
export function insertedOf(answer: Answer, timeline: number | null, completeMs: number): Inserted {
  const problem = answer.kind === 'error' ? answer.error.code : null;
  return { outcome: answer.outcome, timeline: answer.kind === 'error' ? null : timeline, completeMs, problem };
}
