import { monotonicMs } from '@understudy/base';
import type { MemberId, Receiver } from '@understudy/core';
import { SilenceMeter } from '@understudy/engine/host';
import { letGoConnection } from '../commands/let-go.ts';
import type { Instance } from '../instance.ts';
import type { Session } from '../sql/session.ts';
import { shortText } from './applier.ts';
import type { Channel, OtherChannel, ThreadError } from './channel.ts';
import type { Upstream } from './upstream.ts';

type BrokenCause = Extract<Receiver, { kind: 'broken' }>['cause'];

const queryTimeoutMs = 500;
/** These cost a new copy of the database, and some of them are reported for a moment while a leader is opening: only lasting ones count. */
const grave: ReadonlySet<BrokenCause> = new Set(['wal-removed', 'history']);
const graveAfterMs = 2000;
const healedAfterMs = 1000;

/** Why a source does not send: errors 1236 and 13114 ("fatal error … when reading data from binary log") say it in words. */
const fatalCauses: readonly (readonly [RegExp, BrokenCause])[] = [
  [/purged|could not find GTID state/i, 'wal-removed'],
  [
    /has more GTIDs than the source|more GTIDs than the master|not in the master's binlog|diverged|rolled back/i,
    'history',
  ],
];

const fatalNumbers = new Set([1236, 13114]);
/** Access denied, no such host, account locked, no right to replicate, password expired, a connection that must be encrypted. */
const loginNumbers = new Set([1045, 1130, 1698, 1227, 1820, 1862, 3159, 2061]);
/** A leader locks the accounts of those who do not count: it is not open to this member now. */
const lockedNumbers = new Set([3118, 4151]);

/** What the error of a receiver's thread means. */
export function causeOf({ number, text }: ThreadError): BrokenCause {
  if (fatalNumbers.has(number)) return fatalCauses.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown';
  if (lockedNumbers.has(number)) return 'refused';
  if (loginNumbers.has(number) || /access denied for user/i.test(text)) return 'login';
  return number >= 2000 && number < 3000 ? 'refused' : 'unknown';
}

/** What a person can do about the errors that do not go away by themselves. */
const advice: readonly (readonly [RegExp, string])[] = [
  [
    /equal .*uuid|same server_uuid/i,
    'Two servers have the same auto.cnf or the same server_id, as after a copy of a data directory by hand: stop this member, remove auto.cnf from its data directory, see that engine.serverId is its own, and start it again.',
  ],
  [/equal .*server ids|same server.id/i, 'Give each member an engine.serverId of its own, and restart this one.'],
  [
    /requires secure connection/i,
    'Without TLS a password goes to a source beyond this machine only as a hash: set engine.tls on every member, or accept that whoever answers there may read it (insecure: true).',
  ],
  [
    /\b(SSL|TLS)\b|certificate/i,
    'The source offers no TLS, or its certificate is not of engine.tls.ca or does not name its address: look there.',
  ],
  [
    /access denied|password|authentication/i,
    'The replication password in the secrets file must be the same on every member; with engine.tls, the subject of this member’s certificate must be its name (CN=name).',
  ],
  [
    /log.?bin|binary log(ging)? is (not|off)|not open|could not find first log/i,
    'The binary log of the member that it follows is off or damaged: look there.',
  ],
];

/** The warning for people. */
export function receiverWarning({ number, text }: ThreadError): string {
  const next = advice.find(([pattern]) => pattern.test(text))?.[1] ?? 'It is tried again every second.';
  return `Nothing can be received: error ${number}: ${shortText(text)}. ${next}`;
}

/** Whether the source turned the receiver away because it did not count this member then. It would try again only after `CONNECT_RETRY`. */
export const isTurnedAway = ({ receiver, receiverError }: Channel): boolean =>
  receiver === 'connecting' && receiverError !== null && lockedNumbers.has(receiverError.number);

/** Whether the channel receives from another place than the server was told to. */
function leadsElsewhere({ host, port, receiver }: Channel, told: Upstream | null): boolean {
  if (receiver === 'stopped') return false;
  return told === null || (told.host !== undefined && (told.host !== host || told.port !== port));
}

/** Receivers that somebody else than the agent has started, each in a sentence. */
function foreignReceivers(
  channel: Channel | null,
  others: readonly OtherChannel[],
  told: Upstream | null,
): readonly string[] {
  const own = channel !== null && leadsElsewhere(channel, told) ? [{ ...channel, name: '' }] : [];
  const running = [...own, ...others.filter(({ receiver }) => receiver !== 'stopped')];
  return running.map(({ name, host, port }) => {
    // A crash in the middle of letting go leaves it; the next cut removes it.
    if (name === letGoConnection) return `The connection ${name} still runs. It is removed.`;
    const which = name === '' ? 'This server' : `The channel ${name} of this server`;
    return `${which} was told from outside to receive from ${host}:${port}. Its agent stops that: use \`understudy switchover\` or \`understudy topology\` for what you want, or \`understudy pause\` first.`;
  });
}

/** A replica's look at the stream from its upstream. */
export class ReceiverWatch {
  readonly #instance: Pick<Instance, 'dialect' | 'upstream' | 'process' | 'errant'>;
  #life = new SilenceMeter<'receiver'>();
  #runningSinceMs: number | null = null;
  #broken: { readonly cause: BrokenCause; readonly sinceMs: number } | null = null;
  #error: ThreadError | null = null;
  /** Receivers that somebody else has started, in words. */
  #foreign: readonly string[] = [];

  constructor(instance: Pick<Instance, 'dialect' | 'upstream' | 'process' | 'errant'>) {
    this.#instance = instance;
  }

  /** Why nothing can be received, for people; null when it can, when the source is only away, or when something is done about it. */
  get warnings(): readonly string[] {
    const { warning } = this;
    return warning === null ? this.#foreign : [warning, ...this.#foreign];
  }

  get warning(): string | null {
    const cause = this.#broken?.cause;
    if (this.#error === null || (cause !== 'unknown' && cause !== 'login')) return null;
    return receiverWarning(this.#error);
  }

  async look(
    session: Session,
    channel: Channel | null,
    others: readonly OtherChannel[],
  ): Promise<{ readonly upstream: MemberId | null; readonly receiver: Receiver }> {
    const { upstream: memory, process: server } = this.#instance;
    const told = server.running === null ? null : await memory.of(server.running);
    this.#foreign = foreignReceivers(channel, others, told);
    // Whoever receives from anybody else than it was told to follows nobody, and has something to cut.
    const upstream = channel !== null && leadsElsewhere(channel, told) ? null : (told?.member ?? null);
    if (upstream === null || channel === null) {
      this.#life = new SilenceMeter();
      this.#broken = null;
      this.#error = null;
      this.#runningSinceMs = null;
      const isCut = this.#foreign.length === 0 && (await this.#mayAcknowledge(session)) === 'no';
      return { upstream, receiver: isCut ? { kind: 'none' } : { kind: 'streaming', silentMs: 0 } };
    }
    const errant = server.running === null ? null : this.#instance.errant.of(server.running.pid);
    if (errant !== null) return { upstream, receiver: { kind: 'broken', cause: 'history', detail: errant } };
    if (channel.receiver === 'running') {
      this.#runs();
      const sign = `${channel.sign} ${await this.#heartbeats(session)}`;
      this.#life.look();
      return { upstream, receiver: { kind: 'streaming', silentMs: this.#life.silentMs('receiver', sign) } };
    }
    this.#life = new SilenceMeter();
    this.#runningSinceMs = null;
    return { upstream, receiver: { kind: 'broken', cause: this.#lasting(channel) } };
  }

  /**
   * The server's own word on what its channels do not show: a thread that receives, or counting of acknowledgements that is switched on, as
   * it was left by an opening that did not come to its end. Neither is a server that has stopped for good.
   */
  async #mayAcknowledge(session: Session): Promise<'yes' | 'no'> {
    const { receiverThreads, semiSync } = this.#instance.dialect;
    const [row] = await session.query(
      `SELECT (SELECT COUNT(*) FROM (${receiverThreads}) AS threads) AS receivers, @@global.${semiSync.sourceEnabled} AS source`,
      [],
      queryTimeoutMs,
    );
    return row?.receivers === '0' && row.source === '0' ? 'no' : 'yes';
  }

  /** A receiver that was started again runs for a moment before its source refuses it once more. */
  #runs(): void {
    const nowMs = monotonicMs();
    this.#runningSinceMs ??= nowMs;
    if (nowMs - this.#runningSinceMs < healedAfterMs) return;
    this.#broken = null;
    this.#error = null;
  }

  #lasting({ receiverError }: Channel): BrokenCause {
    if (receiverError !== null) this.#error = receiverError;
    const cause = receiverError === null ? (this.#broken?.cause ?? 'unknown') : causeOf(receiverError);
    if (this.#broken?.cause !== cause) this.#broken = { cause, sinceMs: monotonicMs() };
    return grave.has(cause) && monotonicMs() - this.#broken.sinceMs < graveAfterMs ? 'unknown' : cause;
  }

  /** An idle stream brings heartbeats only. */
  async #heartbeats(session: Session): Promise<string> {
    const { heartbeats } = this.#instance.dialect;
    if (heartbeats === null) return '';
    const [row] = await session.query(heartbeats, [], queryTimeoutMs);
    return `${row?.heartbeats ?? ''} ${row?.newest ?? ''}`;
  }
}
