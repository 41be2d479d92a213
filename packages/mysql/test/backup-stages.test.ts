import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BackupStages } from '../src/clone/backup-stages.ts';

/** As 10.11 and 11.8 write it. */
const at = (text: string): string => `[00] 2026-11-30 02:35:58 ${text}\n`;

it('a backup may read for as long as it likes, and commits are not blocked by that', () => {
  const stages = new BackupStages();
  stages.read(at('Starting BACKUP STAGE START') + at('Acquired locks for BACKUP STAGE START'), 0);
  assert.equal(stages.overdue(1e9), null);
  assert.equal(stages.blocksCommits, false);
});

it('waits for commits only for a moment, and longer for statements that change tables', () => {
  const stages = new BackupStages();
  stages.read(at('Started BACKUP STAGE BLOCK_DDL'), 0);
  assert.equal(stages.overdue(20_000), null);
  assert.match(stages.overdue(30_000) ?? '', /30\.0 s for statements under way \(lock BLOCK_DDL\)/);
  stages.read(at('Acquired locks for BACKUP STAGE BLOCK_DDL'), 20_000);
  assert.equal(stages.overdue(90_000), null);
  stages.read(at('Starting BACKUP STAGE BLOCK_COMMIT'), 90_000);
  assert.equal(stages.blocksCommits, true);
  assert.equal(stages.overdue(91_900), null);
  assert.match(stages.overdue(92_000) ?? '', /2\.0 s for commits under way/);
});

it('does not hold commits up for long, and is free of all that once it has let go', () => {
  const stages = new BackupStages();
  stages.read(at('Acquired locks for BACKUP STAGE BLOCK_COMMIT'), 0);
  assert.equal(stages.overdue(4_900), null);
  assert.match(stages.overdue(5_000) ?? '', /commits there had to wait/);
  stages.read(at('Finishing BACKUP STAGE BLOCK_COMMIT') + at('Starting BACKUP STAGE END'), 4_950);
  assert.equal(stages.overdue(1e9), null);
  assert.equal(stages.blocksCommits, false);
});

it('reads lines that come in pieces', () => {
  const stages = new BackupStages();
  const text = at('Starting BACKUP STAGE BLOCK_COMMIT');
  stages.read(text.slice(0, 30), 0);
  assert.equal(stages.blocksCommits, false);
  stages.read(text.slice(30), 0);
  assert.equal(stages.blocksCommits, true);
});
