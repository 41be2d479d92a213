import type { MemberView, StatusView } from '@understudy/agent/client';

/** How one member stands if the leader vanished now. */
export interface Prospect {
  readonly member: string;
  readonly place:
    | { readonly kind: 'next' }
    | { readonly kind: 'behind'; readonly after: string }
    | { readonly kind: 'out' };
  readonly why: string;
}

export interface Succession {
  readonly prospects: readonly Prospect[];
  /** Whether enough ackers are there to prove that nothing acknowledged is lost. */
  readonly quorum: { readonly kind: 'met' | 'missing' | 'none'; readonly text: string };
}

/**
 * Who would lead next, by the rules of the election (docs/protocol.md, step 3) applied to what is seen now: the furthest among those
 * that can be reached and may lead; priority and then name among equals.
 */
export function successionOf(status: StatusView): Succession {
  const others = status.members.filter((member) => member.id !== status.leader);
  const judged = others.map((member) => ({ member, objection: objectionTo(member, status) }));
  const fit = judged.filter(({ objection }) => objection === null).map(({ member }) => member);
  const ranked = fit.toSorted(compare);
  const [first] = ranked;
  const prospects: Prospect[] = ranked.map((member) => {
    if (member === first || first === undefined)
      return { member: member.id, place: { kind: 'next' }, why: whyFirst(member, ranked) };
    return { member: member.id, place: { kind: 'behind', after: first.id }, why: whyNot(member, first) };
  });
  const out: Prospect[] = judged.flatMap(({ member, objection }) =>
    objection === null ? [] : [{ member: member.id, place: { kind: 'out' }, why: objection }],
  );
  return { prospects: [...prospects, ...out], quorum: quorumOf(status) };
}

function objectionTo(member: MemberView, status: StatusView): string | null {
  if (member.tags.nofailover) return 'it is tagged nofailover';
  if (member.agent.kind === 'silent') return 'its agent is silent';
  if (member.agent.kind === 'refusing') return "its agent's address refuses connections";
  if (member.agent.kind === 'unregistered') return 'it has not been heard yet';
  if (member.state !== 'replica') return `its server is ${member.state}, not a replica`;
  if (member.position === null) return 'it is still reading its log, so its end is not known';
  if (status.rule !== null && status.rule.required > 0 && !status.rule.members.includes(member.id)) {
    return `its acknowledgements are not counted (${lag(member)} behind), so it may lack some; it would have to hold the end of an acker`;
  }
  return null;
}

function compare(a: MemberView, b: MemberView): number {
  const behind = (a.receiveLagBytes ?? Number.MAX_SAFE_INTEGER) - (b.receiveLagBytes ?? Number.MAX_SAFE_INTEGER);
  if (behind !== 0) return behind;
  return b.tags.priority - a.tags.priority || (a.id < b.id ? -1 : 1);
}

const lag = (member: MemberView): string => `${member.receiveLagBytes ?? 'unknown'} bytes`;

function whyFirst(member: MemberView, ranked: readonly MemberView[]): string {
  const [, second] = ranked;
  if (second === undefined) return 'it is the only one that could';
  if (second.receiveLagBytes !== member.receiveLagBytes) return `it holds the most (${lag(member)} behind the leader)`;
  return second.tags.priority === member.tags.priority
    ? 'it holds as much as any other, and its name comes first'
    : `it holds as much as any other, and has priority ${member.tags.priority}`;
}

function whyNot(member: MemberView, first: MemberView): string {
  if (member.receiveLagBytes !== first.receiveLagBytes) return `it holds less (${lag(member)} behind the leader)`;
  return member.tags.priority === first.tags.priority
    ? `equal to ${first.id}, and its name comes later`
    : `equal to ${first.id}, and has the lower priority ${member.tags.priority}`;
}

function quorumOf(status: StatusView): Succession['quorum'] {
  if (status.durability === 'async') {
    return { kind: 'none', text: "durability is async: a failover waits for the leader's lease to run out" };
  }
  const { rule } = status;
  if (rule === null || rule.required === 0) {
    return {
      kind: 'missing',
      text: 'the leader acknowledges alone: only its own return, or an operator, can prove anything',
    };
  }
  const needed = rule.members.length - rule.required + 1;
  const there = rule.members.filter((id) => {
    const member = status.members.find((each) => each.id === id);
    return member?.state === 'replica' && (member.agent.kind === 'fresh' || member.agent.kind === 'self');
  });
  const text = `${needed} of (${rule.members.join(', ')}) would have to seal; ${there.length} can${there.length > 0 ? ` (${there.join(', ')})` : ''}`;
  return { kind: there.length >= needed ? 'met' : 'missing', text };
}
