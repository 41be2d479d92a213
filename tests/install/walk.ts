import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Installed } from './installed.ts';

/** What a user does first: a cluster, a table, a switchover, the rows again, and everything away. */
export async function walk(installed: Installed, engine: 'postgres' | 'mysql' | 'mariadb'): Promise<void> {
  const folder = ['--data-dir', join(installed.folder, engine)];
  try {
    await installed.run(['up', '--engine', engine, '--detach', ...folder]);
    await installed.run(['sql', 'create table installed (id int primary key)', ...folder]);
    await installed.run(['sql', 'insert into installed values (41), (42)', ...folder]);
    await installed.run(['switchover', ...folder]);
    assert.match(await installed.run(['sql', 'select sum(id) as total from installed', '--json', ...folder]), /83/);
    await installed.run(['status', '--check', ...folder]);
    await installed.run(['destroy', '--yes', ...folder]);
  } catch (error) {
    // What failed is what is reported, not that there is nothing to remove.
    await installed.run(['destroy', '--yes', ...folder]).catch(() => undefined);
    throw error;
  }
}
