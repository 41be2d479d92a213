import type { MemberView, StatusView } from '@understudy/agent/client';

/** A member with those that receive from it. */
export interface Branch {
  readonly member: MemberView;
  readonly replicas: readonly Branch[];
}

export interface Topology {
  /** From the leader down; null when nobody leads. */
  readonly root: Branch | null;
  /** Members that get no stream that begins at the leader. */
  readonly outside: readonly MemberView[];
}

/** Who receives from whom, as the members say it now. */
export function topologyOf({ leader, members }: Pick<StatusView, 'leader' | 'members'>): Topology {
  const placed = new Set<string>();
  const below = (id: string): Branch[] => {
    const found = members.filter((each) => !placed.has(each.id) && receivesFrom(each) === id);
    for (const each of found) placed.add(each.id);
    return found.map((member) => ({ member, replicas: below(member.id) }));
  };
  const leading = members.find(({ id }) => id === leader);
  if (leading === undefined) return { root: null, outside: members };
  placed.add(leading.id);
  const root = { member: leading, replicas: below(leading.id) };
  return { root, outside: members.filter(({ id }) => !placed.has(id)) };
}

/** Whom a member gets a stream from; null when it gets none, or is not heard. */
export function receivesFrom(member: MemberView): string | null {
  const isHeard = member.agent.kind === 'self' || member.agent.kind === 'fresh';
  return isHeard && member.state === 'replica' && member.receiver?.kind === 'streaming' ? member.upstream : null;
}
