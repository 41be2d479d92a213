/** Decisions that an earlier version recorded, with the names of this one: they can be decided again. */

/** What a field was called in version 1, and is called now. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['moving', 'nextRule'],
  ['lineage', 'timeline'],
  ['lineages', 'timelines'],
]);

/** An entry of version 1 under the names of this version, however deep they are. */
export function fromVersion1(entry: object): object {
  return Object.fromEntries(Object.entries(entry).map(([name, value]) => [NAMES.get(name) ?? name, renamed(value)]));
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, renamed(each)]));
  return typeof value === 'object' && value !== null ? fromVersion1(value) : value;
}
