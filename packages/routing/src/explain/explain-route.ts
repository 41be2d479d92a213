import { formatPosition } from '@understudy/core';
import type { Choice, ChoiceReason, Considered, Unusable } from '../choice/choose.ts';
import type { Freshness, Requirement } from '../freshness/freshness.ts';
import { formatLevel } from '../levels/level.ts';
import type { ResolvedSettings, RouteTarget } from '../levels/settings.ts';
import { CLASS_REASONS, type Classification } from '../statement/classification.ts';

const EXPLAIN_ROUTE = /^\s*explain\s+route\s+([\s\S]+)$/i;

/** The statement behind `EXPLAIN ROUTE`; null when the text is something else. */
export const explainedStatement = (text: string): string | null => EXPLAIN_ROUTE.exec(text)?.[1] ?? null;

export interface RouteExplanation {
  /** The node that the statement would go to; null: none now. */
  readonly node: string | null;
  /** For people, a line each. */
  readonly lines: readonly string[];
}

export interface ExplainInput {
  readonly classification: Classification;
  readonly settings: ResolvedSettings;
  readonly requirement: Requirement;
  readonly choice: Choice;
}

/** Which node, and why: class, level, freshness, and what was thought of each node. */
export function explainRoute({ classification, settings, requirement, choice }: ExplainInput): RouteExplanation {
  const node = choice.kind === 'node' ? choice.member : null;
  return {
    node,
    lines: [
      decisionLine(choice),
      classLine(classification),
      ...sessionLines(classification),
      `level: ${formatLevel(settings.level)} (${saidBy(settings.from.level)}); route: ${formatTarget(settings.target)} (${saidBy(settings.from.target)})`,
      `needs: ${needs(requirement)}`,
      ...choice.considered.map(nodeLine),
    ],
  };
}

const saidBy = (scope: string): string => (scope === 'default' ? 'default' : `from the ${scope}`);

function decisionLine(choice: Choice): string {
  switch (choice.kind) {
    case 'node':
      return `node: ${choice.member} (${choice.role}): ${CHOICE_REASONS[choice.reason]}`;
    case 'hold':
      return `node: none now, the statement would wait: ${HOLD_REASONS[choice.why]}`;
    case 'refuse':
      return `node: none, the statement would be refused: ${choice.error.message}`;
  }
}

const HOLD_REASONS = {
  'no-primary': 'no primary is known.',
  promoting: 'the new primary is not open yet.',
  'lease-over': "the primary's lease has run out.",
} as const;

const CHOICE_REASONS: Readonly<Record<ChoiceReason, string>> = {
  'statement-needs-primary': 'the statement needs the primary.',
  'asked-for-primary': 'the primary was asked for.',
  'level-needs-primary': 'the level needs the primary.',
  'only-node': 'it is the only node that is fresh enough.',
  'best-of-two': 'the better one of two that were drawn.',
  'round-robin': 'its turn.',
  sticky: 'the session reads there.',
  'named-node': 'it was named.',
  'guarded-replica': 'it is nearest to what is needed; a guard in front of the read checks that it has got there.',
  'no-replica-fresh': 'no replica is provably fresh enough.',
  'no-replica-usable': 'no replica can be used.',
  'stale-accepted': 'stale answers were accepted.',
};

function classLine({ node, reason, detail }: Classification): string {
  const what = detail === '' ? '' : ` [${detail}]`;
  return `class: ${node} (${reason}${what}): ${CLASS_REASONS[reason]}`;
}

function sessionLines({ pins, effects }: Classification): readonly string[] {
  const pinned = pins.length === 0 ? [] : [`pins the session to its connection: ${pins.join(', ')}`];
  const changed = effects.length === 0 ? [] : [`changes the session: ${effects.map(({ kind }) => kind).join(', ')}`];
  return [...pinned, ...changed];
}

function needs(requirement: Requirement): string {
  switch (requirement.kind) {
    case 'none':
      return 'nothing: any replica on the history of the primary';
    case 'primary':
      return requirement.why === 'strong' ? 'the primary' : 'the primary, as the way of its history is not known yet';
    case 'position':
      return `everything up to ${formatPosition(requirement.position)}`;
    case 'staleness':
      return `at most ${requirement.maxLagMs} ms behind the primary`;
  }
}

const nodeLine = ({ member, role, verdict }: Considered): string => `  ${member} (${role}): ${verdictText(verdict)}`;

function verdictText(verdict: Considered['verdict']): string {
  switch (verdict.kind) {
    case 'unusable':
      return UNUSABLE[verdict.why];
    case 'fresh':
      return FRESH[verdict.why];
    case 'guard':
      return 'behind when last heard, on its way';
    case 'stale':
      return STALE[verdict.why];
  }
}

const UNUSABLE: Readonly<Record<Unusable, string>> = {
  excluded: 'has failed for this statement already',
  'takes-no-reads': 'takes no reads (noloadbalance, weight 0)',
  'not-in-pool': 'is not in the pool',
  ejected: 'is taken out after failures',
};

const FRESH: Readonly<Record<Extract<Freshness, { kind: 'fresh' }>['why'], string>> = {
  'not-required': 'usable',
  applied: 'fresh: has applied what is needed',
  'applied-by-rule': 'fresh: every commit waits for it (remote_apply)',
  'within-bound': 'fresh: within the bound',
  'is-primary': 'the primary',
};

const STALE: Readonly<Record<Extract<Freshness, { kind: 'stale' }>['why'], string>> = {
  'position-unknown': 'stale: its position is not known',
  diverged: 'unusable: it holds what the primary does not',
  behind: 'stale: it is behind',
  'too-old': 'stale: older than the bound, or its age is not known',
  'only-primary': 'stale: only the primary will do',
};

export const formatTarget = (target: RouteTarget): string =>
  target.kind === 'node' ? `node:${target.member}` : target.kind;
