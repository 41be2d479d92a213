import type { RoutingNode } from '../topology/topology.ts';
import type { ChoicePolicy } from './policy.ts';

interface Balance {
  readonly policy: ChoicePolicy;
  readonly draws: readonly [number, number];
  readonly turn: number;
}

/** One of `nodes`, which must not be empty. */
export function pick(nodes: readonly RoutingNode[], { policy, draws, turn }: Balance): RoutingNode {
  const sorted = nodes.toSorted((a, b) => (a.member < b.member ? -1 : 1));
  const [first] = sorted;
  if (first === undefined) throw new RangeError('There is no node to pick.');
  if (policy.balance === 'round-robin') return sorted[turn % sorted.length] ?? first;
  const one = drawn(sorted, draws[0]) ?? first;
  const other = drawn(
    sorted.filter((node) => node !== one),
    draws[1],
  );
  return other === undefined ||
    cost(one, policy.zone, policy.otherZoneCost) <= cost(other, policy.zone, policy.otherZoneCost)
    ? one
    : other;
}

/** One node, each as likely as its weight says. */
function drawn(nodes: readonly RoutingNode[], draw: number): RoutingNode | undefined {
  let left = draw * nodes.reduce((sum, { weight }) => sum + weightOf(weight), 0);
  for (const node of nodes) {
    left -= weightOf(node.weight);
    if (left < 0) return node;
  }
  return nodes.at(-1);
}

/** A node that weighs nothing and was named nevertheless can be drawn. */
const weightOf = (weight: number): number => Math.max(weight, 0.001);

/** Expected wait: what is under way there, each as long as a round trip takes. A node that was not measured is taken for a fast one. */
function cost({ latencyMs, inFlight, weight, zone }: RoutingNode, own: string | null, otherZoneCost: number): number {
  const far = own !== null && zone !== own ? otherZoneCost : 1;
  return (Math.max(latencyMs, 0.05) * (inFlight + 1) * far) / weightOf(weight);
}
