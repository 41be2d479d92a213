/**
 * Fields that the store calls by an older name than the code does.
 *
 * This version reads both names and writes the old one, so that it shares a cluster with members of the version before, which know
 * only the old one. The next version may write the new one. The one after that may stop reading the old one.
 */

/** By the code's name: the one that is written. */
const STORED_NAMES: ReadonlyMap<string, string> = new Map([
  ['nextRule', 'moving'],
  ['timeline', 'lineage'],
]);

const CODE_NAMES: ReadonlyMap<string, string> = new Map([...STORED_NAMES].map(([code, stored]) => [stored, code]));

/** The fields of a stored value under their names in the code. */
export function withCodeNames(value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? renamed(value, CODE_NAMES) : value;
}

/** The fields of a value under the names by which they are stored. */
export const withStoredNames = (value: object): object => renamed(value, STORED_NAMES);

function renamed(value: object, names: ReadonlyMap<string, string>): object {
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [names.get(name) ?? name, field]));
}
