import type { StatusView } from '@understudy/agent/client';
import { healthOf, stateText, waitText } from './member.ts';
import { ruleText } from './status.ts';

/** Something that became different from one look to the next. */
export interface Change {
  readonly tone: 'good' | 'plain' | 'warn' | 'bad';
  readonly text: string;
}

/** What happened between two looks at a cluster, as sentences; the order is that of importance. */
export function changesBetween(before: StatusView, after: StatusView): Change[] {
  return [
    ...leadership(before, after),
    ...members(before, after),
    ...ackers(before, after),
    ...recoveryPoint(before, after),
    ...requests(before, after),
    ...store(before, after),
    ...pauses(before, after),
  ];
}

function leadership(before: StatusView, after: StatusView): Change[] {
  if (after.leader === null) return [];
  if (before.epoch !== after.epoch && after.phase !== 'open') {
    return [{ tone: 'warn', text: `${after.leader} was chosen for epoch ${after.epoch} and is opening` }];
  }
  const opened = after.phase === 'open' && (before.epoch !== after.epoch || before.phase !== 'open');
  if (!opened) return [];
  const why = after.since === null ? '' : ` (${after.since.cause})`;
  return [{ tone: 'good', text: `${after.leader} leads: epoch ${after.epoch}, open for writes${why}` }];
}

function members(before: StatusView, after: StatusView): Change[] {
  return after.members.flatMap((member): Change[] => {
    const known = before.members.find((each) => each.id === member.id);
    if (known === undefined) return [{ tone: 'plain', text: `${member.id} has joined` }];
    // Progress of a job is for the table; here only its beginning and its end.
    const word = (text: string): string => text.replace(/ \d.*$/, '');
    if (word(stateText(known)) === word(stateText(member))) return [];
    const health = healthOf(member);
    const why = health === 'good' ? '' : waitText(member);
    return [
      {
        tone: health === 'good' ? 'good' : health,
        text: `${member.id}: ${stateText(member)}${why === '' ? '' : `. ${why}`}`,
      },
    ];
  });
}

function ackers(before: StatusView, after: StatusView): Change[] {
  if (after.rule === null || after.moving !== null) return [];
  if (before.rule !== null && ruleText(before.rule) === ruleText(after.rule)) return [];
  const tone = after.durability === 'sync' && after.rule.required === 0 ? 'warn' : 'plain';
  return [{ tone, text: `commits wait for ${ruleText(after.rule)}` }];
}

function recoveryPoint(before: StatusView, after: StatusView): Change[] {
  if (before.rpo.kind === after.rpo.kind) return [];
  return [{ tone: after.rpo.kind === 'zero-proven' ? 'good' : 'warn', text: after.rpo.text }];
}

function requests(before: StatusView, after: StatusView): Change[] {
  const changes: Change[] = [];
  if (after.request !== null && before.request?.id !== after.request.id) {
    changes.push({ tone: 'plain', text: `asked for: ${after.request.text}` });
  }
  const { lastOutcome } = after;
  if (lastOutcome !== null && before.lastOutcome?.id !== lastOutcome.id) {
    const tone = lastOutcome.result === 'done' ? 'good' : 'warn';
    changes.push({ tone, text: `${lastOutcome.kind} ${lastOutcome.result}: ${lastOutcome.reason}` });
  }
  return changes;
}

function store(before: StatusView, after: StatusView): Change[] {
  if (before.store.kind === after.store.kind) return [];
  if (after.store.kind === 'current') return [{ tone: 'good', text: 'the store answers again' }];
  return [
    { tone: 'bad', text: `the store does not answer${after.store.problem === null ? '' : `: ${after.store.problem}`}` },
  ];
}

function pauses(before: StatusView, after: StatusView): Change[] {
  if (before.paused === after.paused) return [];
  return after.paused
    ? [{ tone: 'warn', text: 'paused: no failover until "understudy resume"' }]
    : [{ tone: 'good', text: 'resumed: failover is possible again' }];
}
