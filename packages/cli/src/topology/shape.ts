import { CliError } from '../errors.ts';

/** Shapes that a new cluster can be given. `star`: everybody below the leader. */
export const SHAPES = ['star', 'chain', 'tree'] as const;
export type Shape = (typeof SHAPES)[number];

/** A tree has two replicas that feed others: with fewer nodes it would be one of the other shapes. */
const treeNodesMin = 4;

/**
 * What each node is wanted under: a chain a ← b ← c …, or a tree in which the first feeds two, and these the others in turn.
 *
 * @param names the nodes, the one that leads first
 * @throws CliError `USAGE` when there are too few nodes for the shape
 */
export function upstreamsOf(shape: Shape, names: readonly string[]): Readonly<Record<string, string>> {
  requireNodes(shape, names.length);
  const above = (index: number): number => (shape === 'chain' ? index - 1 : index <= 2 ? 0 : 2 - (index % 2));
  const wishes = names.map((name, index) => [name, names[above(index)] ?? ''] as const).slice(1);
  return shape === 'star' ? {} : Object.fromEntries(wishes);
}

/** @throws CliError `USAGE` when there are too few nodes for the shape */
export function requireNodes(shape: Shape, nodes: number): void {
  if (shape !== 'tree' || nodes >= treeNodesMin) return;
  const next = `Write --nodes ${treeNodesMin} or more, or --topology chain.`;
  throw new CliError('USAGE', `A tree of ${nodes} nodes is not possible.`, { next });
}
