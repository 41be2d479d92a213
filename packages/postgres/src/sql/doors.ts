import { sqlStateOf } from './session.ts';

/** One way into a server. */
export interface Door {
  readonly user: string;
  readonly database: string;
  readonly replication: 'database' | 'none';
}

/** The ways in, each list with the usual one first. */
export interface Ways {
  readonly users: readonly string[];
  readonly databases: readonly string[];
  readonly replication: readonly Door['replication'][];
}

/** What a refusal says that another door may not have. */
type Obstacle = 'user' | 'database' | 'replication';

/**
 * Opens the first door that lets us in. A server that says no is alive: somebody closed a database, a role, or took all connections of
 * one kind, and each of these is passed by once it has refused.
 *
 * @param first tried before the others: the one that let us in last.
 * @throws what the first door said, or the first thing that no other door can help with.
 */
export async function throughAnyDoor<T>(
  ways: Ways,
  first: Door | null,
  open: (door: Door) => Promise<T>,
): Promise<{ readonly result: T; readonly door: Door; readonly refusals: readonly Refusal[] }> {
  const refusals: Refusal[] = [];
  const closed = { user: new Set<string>(), database: new Set<string>(), replication: new Set<string>() };
  const isClosed = (door: Door): boolean =>
    closed.user.has(door.user) || closed.database.has(door.database) || closed.replication.has(door.replication);
  const doors = [...(first === null ? [] : [first]), ...allDoors(ways)];
  for (const door of doors) {
    if (isClosed(door)) continue;
    try {
      return { result: await open(door), door, refusals };
    } catch (error) {
      // Every door states settings that only a superuser may: whoever may not is not one any more.
      const obstacle = sqlStateOf(error) === '42501' ? 'user' : obstacleOf(error);
      if (obstacle === null) throw refusals[0]?.error ?? error;
      refusals.push({ door, obstacle, error });
      closed[obstacle].add(door[obstacle]);
    }
  }
  throw refusals[0]?.error ?? new Error('there is no way in');
}

export interface Refusal {
  readonly door: Door;
  readonly obstacle: Obstacle;
  readonly error: unknown;
}

function* allDoors({ users, databases, replication }: Ways): Generator<Door> {
  for (const user of users)
    for (const database of databases) for (const kind of replication) yield { user, database, replication: kind };
}

/** Null: no answer, or one that every door would give (the server starts, stops, or is damaged as a whole). */
export function obstacleOf(error: unknown): Obstacle | null {
  const state = sqlStateOf(error);
  if (state === undefined || state.startsWith('57P')) return null;
  if (state.startsWith('28')) return 'user';
  if (state === '53300') return 'replication';
  return 'database';
}
