import { type Command, formatPosition, formatRule, type LeadershipRecord } from '@understudy/core';

/** A command in one line, as transcripts show it. */
export function describeCommand(command: Command): string {
  switch (command.kind) {
    case 'commit':
      return `commit "${command.purpose}"`;
    case 'stop':
      return `stop (${command.mode})`;
    case 'seal':
      return `seal epoch ${command.epoch}`;
    case 'follow':
      return `follow ${command.upstream} in epoch ${command.epoch}`;
    case 'set-ack-rule':
      return `set ack rule ${formatRule(command.rule)}`;
    case 'promote':
      return `promote for epoch ${command.epoch} on timeline ${command.timeline}, acks ${formatRule(command.rule)}`;
    case 'clone':
    case 'rewind':
      return `${command.kind} from ${command.from}`;
    default:
      return command.kind;
  }
}

/** The leadership record in one line. */
export function describeRecord(record: LeadershipRecord): string {
  const change = record.nextRule === null ? '' : `, moving to ${formatRule(record.nextRule)}`;
  const at = record.chosenAt === null ? '' : ` chosen at ${formatPosition(record.chosenAt)}`;
  return `epoch ${record.epoch}: ${record.leader} ${record.phase} (${record.cause})${at}, acks ${formatRule(record.rule)}${change}, ${record.durability}`;
}
