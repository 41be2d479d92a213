/** Whose server is simulated: each has its own facts and its own traps (`docs/mysql.md`). */
export type Flavour = 'postgres' | 'mysql' | 'mariadb';

export const FLAVOURS: readonly Flavour[] = ['postgres', 'mysql', 'mariadb'];

/** The most acknowledgements that a commit can wait for; null: any number. */
export function requiredAcksMax(flavour: Flavour): number | null {
  return flavour === 'mariadb' ? 1 : null;
}

/** How many acknowledgements can be asked for when `wanted` are wished. */
export function countableAcks(flavour: Flavour, wanted: number): number {
  return Math.min(wanted, requiredAcksMax(flavour) ?? wanted);
}
