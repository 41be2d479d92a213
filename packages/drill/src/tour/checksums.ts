import type { LocalCluster } from '@understudy/local';
import { databaseFor } from '../database/index.ts';
import { withAdmin } from '../run/sql.ts';

const readTimeoutMs = 120_000;

/** A checksum of every table in every database of people, by `database.table`. */
type Checksums = ReadonlyMap<string, string>;

/**
 * Compares the checksums of all tables on all nodes. Nobody may write meanwhile, and all nodes must have applied everything.
 *
 * @param leader whose tables the others' are compared with
 * @returns what was compared, in a line
 * @throws Error naming each node and table that differ
 */
export async function compareTables(cluster: LocalCluster, leader: string): Promise<string> {
  const expected = await checksumsOn(cluster, leader);
  const problems: string[] = [];
  for (const { name } of cluster.nodes) {
    if (name !== leader) problems.push(...differences(name, leader, await checksumsOn(cluster, name), expected));
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
  return `${expected.size} tables are equal on ${cluster.nodes.length} nodes`;
}

/** What is not the same in two lists of checksums. */
export function differences(node: string, leader: string, own: Checksums, expected: Checksums): readonly string[] {
  const names = [...new Set([...own.keys(), ...expected.keys()])].toSorted();
  return names
    .filter((name) => own.get(name) !== expected.get(name))
    .map(
      (name) => `${name}: ${own.get(name) ?? 'missing'} on ${node}, ${expected.get(name) ?? 'missing'} on ${leader}`,
    );
}

async function checksumsOn(cluster: LocalCluster, node: string): Promise<Checksums> {
  const database = databaseFor(cluster);
  const names = await withAdmin(cluster, node, database.adminDatabase, (admin) => database.databases(admin));
  const found = new Map<string, string>();
  for (const name of names) {
    const sums = await withAdmin(cluster, node, name, (session) => database.checksums(session, readTimeoutMs));
    for (const [table, sum] of sums) found.set(`${name}.${table}`, sum);
  }
  return found;
}
