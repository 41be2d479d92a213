import { meaningOf } from '../decide/stops.ts';
import type { ServerFacts } from './facts.ts';
import { bytesBetween, formatPosition } from './position.ts';

/** How a pair of servers stands, in words and figures. */
export interface OffsetStatus {
  readonly primary: {
    readonly address: string;
    readonly version: string;
    readonly writes: string;
    readonly end: string | null;
  };
  readonly replica: {
    readonly address: string;
    readonly version: string;
    readonly writes: string;
    readonly source: string | null;
    readonly receiver: string | null;
    readonly applier: string | null;
    readonly received: string | null;
    readonly executed: string | null;
    /** Bytes of the primary's log that have not been received, and not been executed; null where that cannot be said. */
    readonly unreceivedBytes: number | null;
    readonly unexecutedBytes: number | null;
    readonly behindS: number | null;
  };
  readonly problems: readonly string[];
}

/** @param replica read before the primary, so that it is not ahead of it. */
export function offsetStatus(primary: ServerFacts, replica: ServerFacts): OffsetStatus {
  const { replica: channel } = replica;
  const bytes = (from: ServerFacts['end'] | undefined): number | null => {
    if (from == null || primary.end === null) return null;
    const between = bytesBetween(from, primary.end, primary.files);
    return between === null ? null : Number(between);
  };
  const text = (position: ServerFacts['end'] | undefined): string | null =>
    position == null ? null : formatPosition(position);
  return {
    primary: {
      address: `${primary.host}:${primary.port}`,
      version: `${primary.flavour} ${primary.version}`,
      writes: primary.writes,
      end: text(primary.end),
    },
    replica: {
      address: `${replica.host}:${replica.port}`,
      version: `${replica.flavour} ${replica.version}`,
      writes: replica.writes,
      source: channel === null ? null : `${channel.sourceHost}:${channel.sourcePort}`,
      receiver: channel?.receiver.state ?? null,
      applier: channel?.applier.state ?? null,
      received: text(channel?.received),
      executed: text(channel?.executed),
      unreceivedBytes: bytes(channel?.received),
      unexecutedBytes: bytes(channel?.executed),
      behindS: channel?.behindS ?? null,
    },
    problems: problemsOf(primary, replica),
  };
}

function problemsOf(primary: ServerFacts, { replica: channel, writes }: ServerFacts): readonly string[] {
  if (channel === null) return ['The second server is not a replica. Set it up with: understudy offset setup'];
  const problems: string[] = [];
  if (channel.sourcePort !== primary.port)
    problems.push(`It is a replica of ${channel.sourceHost}:${channel.sourcePort}, not of the first server.`);
  if (channel.usesGtids === 'yes')
    problems.push('It replicates by GTID: the figures by file and offset may stand still.');
  const { receiver, applier } = channel;
  if (receiver.error !== null)
    problems.push(
      `It does not receive: error ${receiver.error.number}: ${receiver.error.text} ${receiverAdvice(receiver.error)}`,
    );
  else if (receiver.state === 'stopped') problems.push('Its receiver was stopped by somebody.');
  if (applier.error !== null) {
    problems.push(
      `It does not apply: error ${applier.error.number}: ${meaningOf(applier.error.number)}. ${applier.error.text}`,
    );
  } else if (applier.state === 'stopped') problems.push('Its applier was stopped by somebody.');
  if (writes === 'open')
    problems.push(
      'The replica takes writes: whatever is written there is not on the primary, and may stop replication.',
    );
  return problems;
}

function receiverAdvice({ number, text }: { readonly number: number; readonly text: string }): string {
  if (number === 1236 || number === 13_114) {
    return /purged|Could not find first log/i.test(text)
      ? 'What it needs is no longer in the log: it has to be set up anew.'
      : 'The place that it asks for is not in the log: after a crash of the primary, its log may end before it.';
  }
  if (number === 1045 || number === 1130) return 'The replication account or its password is wrong.';
  return number >= 2000 && number < 3000 ? 'The primary cannot be reached from there.' : '';
}
