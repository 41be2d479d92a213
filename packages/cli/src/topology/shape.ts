import { CliError } from '../errors.ts';

/** Shapes that a new cluster can be given. `star`: everybody below the leader. */
export const SHAPES = ['star', 'chain', 'tree'] as const;
export type Shape = (typeof SHAPES)[number];

/** A tree has two replicas that feed others: with fewer nodes it would be one of the other shapes. */
const treeNodesMin = 4;

/**
 * What each node is wanted under, for nodes n1, n2, … : a chain n1 ← n2 ← n3 …, or a tree in which n1 feeds n2 and n3, and these
 * the others in turn.
 *
 * @throws CliError `USAGE` when there are too few nodes for the shape
 */
export function upstreamsOf(shape: Shape, nodes: number): Readonly<Record<string, string>> {
  if (shape === 'tree' && nodes < treeNodesMin) {
    throw new CliError(
      'USAGE',
      `A tree of ${nodes} nodes is none.`,
      `Write --nodes ${treeNodesMin} or more, or --topology chain.`,
    );
  }
  if (shape === 'star') return {};
  const others = Array.from({ length: nodes - 1 }, (_, index) => index + 2);
  const above = (node: number): number => (shape === 'chain' ? node - 1 : node <= 3 ? 1 : 2 + (node % 2));
  return Object.fromEntries(others.map((node) => [`n${node}`, `n${above(node)}`]));
}
