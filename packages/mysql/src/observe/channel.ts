import type { ChannelColumns, Dialect } from '../dialect/dialect.ts';
import { accounts } from '../names.ts';
import type { Row, Session } from '../sql/session.ts';

export interface ThreadError {
  readonly number: number;
  readonly text: string;
}

/**
 * Without TLS (`key`: the source is asked for the key that a password is encrypted with), or with it: the authority has signed the source's
 * certificate (`ca`), which names its address as well (`full`).
 */
export type ChannelSecurity = 'plain' | 'key' | 'ca' | 'full';

/** The channel by which a server receives and applies, as it describes it. */
export interface Channel {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** UUID of the server that it receives from, in lower case; empty before the first connection, and on MariaDB, which has none. */
  readonly sourceUuid: string;
  readonly security: ChannelSecurity;
  readonly receiver: 'running' | 'connecting' | 'stopped';
  readonly receiverError: ThreadError | null;
  readonly applier: 'running' | 'stopped';
  readonly applierError: ThreadError | null;
  readonly applierState: string;
  /** What has been received: a set of GTIDs (MySQL), or the newest GTIDs (MariaDB; empty when the server has not said it in this run). */
  readonly received: string;
  /** MariaDB: the channel is by GTID (`Slave_Pos`), or reads what it received before by file. */
  readonly usesGtids: 'yes' | 'no';
  /** Where the applier is in the relay log. */
  readonly relay: { readonly file: string; readonly pos: string };
  /** How long the applier waits on purpose. */
  readonly delayS: number;
  /** Filters of what is applied, `Replicate_Do_DB=shop`. */
  readonly filters: readonly string[];
  /** Changes whenever something arrives. */
  readonly sign: string;
}

/**
 * Whether what lies in the relay log waits there on purpose. Whoever acknowledges is not delayed, and a channel gets its delay when all is
 * applied: so nothing of it was ever acknowledged.
 */
export const waitsOnPurpose = ({ delayS, user }: Channel): boolean => delayS > 0 && user === accounts.copy;

const filterNames = [
  'Replicate_Do_DB',
  'Replicate_Ignore_DB',
  'Replicate_Do_Table',
  'Replicate_Ignore_Table',
  'Replicate_Wild_Do_Table',
  'Replicate_Wild_Ignore_Table',
  'Replicate_Rewrite_DB',
];

/** A channel that somebody else made, beside the agent's own, which has no name. */
export interface OtherChannel {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly receiver: Channel['receiver'];
}

export interface Channels {
  /** Null when the server is not configured to receive from anybody. */
  readonly own: Channel | null;
  readonly others: readonly OtherChannel[];
}

/** Every channel of a server: whoever receives by any of them may acknowledge. */
export async function readChannels(
  session: Session,
  { channelStatus, columns }: Pick<Dialect, 'channelStatus' | 'columns'>,
  deadlineMs: number,
): Promise<Channels> {
  const rows = await session.query(channelStatus, [], deadlineMs);
  const own = rows.find((row) => nameOf(row) === '');
  const others = rows.filter((row) => nameOf(row) !== '');
  return {
    own: own === undefined ? null : channelOf(own, columns),
    others: others.map((row) => {
      const { host, port, receiver } = channelOf(row, columns);
      return { name: nameOf(row), host, port, receiver };
    }),
  };
}

const nameOf = (row: Row): string => row.Channel_Name ?? row.Connection_name ?? '';

/** The channel; null when the server is not configured to receive from anybody. */
export async function readChannel(
  session: Session,
  dialect: Pick<Dialect, 'channelStatus' | 'columns'>,
  deadlineMs: number,
): Promise<Channel | null> {
  return (await readChannels(session, dialect, deadlineMs)).own;
}

function securityOf(at: (name: string) => string): ChannelSecurity {
  const either = (name: string): string => at(`Source_${name}`) || at(`Master_${name}`);
  if (either('SSL_Allowed') === 'Yes') return either('SSL_Verify_Server_Cert') === 'Yes' ? 'full' : 'ca';
  return (at('Get_Source_public_key') || at('Get_master_public_key')) === '1' ? 'key' : 'plain';
}

/** What one row of the status says. Names that were never changed have one spelling only. */
export function channelOf(row: Row, columns: ChannelColumns): Channel {
  const at = (name: string): string => row[name] ?? '';
  const io = at(columns.io);
  const received = (row.Retrieved_Gtid_Set ?? row.Gtid_IO_Pos ?? '').replaceAll(/\s/g, '');
  return {
    host: at(columns.host),
    port: Number(at(columns.port)),
    user: at(columns.user),
    sourceUuid: (row.Source_UUID ?? row.Master_UUID ?? '').toLowerCase(),
    security: securityOf(at),
    receiver: io === 'Yes' ? 'running' : io === 'Connecting' || io === 'Preparing' ? 'connecting' : 'stopped',
    receiverError: errorOf(row, 'IO'),
    applier: at(columns.sql) === 'Yes' ? 'running' : 'stopped',
    applierError: errorOf(row, 'SQL'),
    applierState: at(columns.sqlState),
    received,
    usesGtids: row.Auto_Position === '1' || row.Using_Gtid === 'Slave_Pos' ? 'yes' : 'no',
    relay: { file: at('Relay_Log_File'), pos: at('Relay_Log_Pos') },
    delayS: Number(at('SQL_Delay')),
    filters: filterNames.filter((name) => at(name) !== '').map((name) => `${name}=${at(name)}`),
    sign: [received, at(columns.readPos), row.Slave_received_heartbeats ?? ''].join(' '),
  };
}

function errorOf(row: Row, thread: 'IO' | 'SQL'): ThreadError | null {
  const number = Number(row[`Last_${thread}_Errno`] ?? 0);
  return number === 0 ? null : { number, text: row[`Last_${thread}_Error`] ?? '' };
}
