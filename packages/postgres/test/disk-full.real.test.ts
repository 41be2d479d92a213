import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chown, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { DEFAULT_TAGS, memberId } from '@understudy/core';
import { type ConformanceNode, eventually, onStage } from '@understudy/engine/conformance';
import { serverUser } from '@understudy/servers';
import { createPostgresEngine } from '../src/index.ts';
import { engineInput, freePort, makeRoot, postgresHarness, serversOf } from './harness.ts';
import { sql } from './sql.ts';

const [server] = await serversOf([17, 15]);
assert(server !== undefined, 'no PostgreSQL was found: npm run servers -- get');

const user = serverUser();

// A file without a test fails: what is skipped has to be a test.
const skip = user === null ? 'mounting a small disk needs root' : false;

/** What a copy costs its source: a slot that keeps log, and a checkpoint at once. */
const askedOf = (leader: Pick<ConformanceNode, 'host' | 'port'>) =>
  sql(
    leader,
    `select (select array_agg(slot_name::text || coalesce(restart_lsn::text, '')) from pg_replication_slots) as slots,
       (select checkpoint_lsn::text from pg_control_checkpoint()) as checkpoint`,
  );

describe('a full disk', () => {
  for (const sizeMb of [16, 30]) {
    it(`ends a copy with a clear error and leaves nothing behind (${sizeMb} MB)`, { skip }, (t) =>
      onStage(postgresHarness(server), 1, async (stage) => {
        const leader = await stage.found();
        const disk = join(await makeRoot(t), 'disk');
        await mkdir(disk);
        execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'tmpfs', disk]);
        try {
          if (user !== null) await chown(disk, user.uid, user.gid);
          const input = engineInput(server, disk, 'n2', await freePort());
          const engine = await createPostgresEngine({ ...input, runDir: join(dirname(disk), 'n2.run') });
          const context = stage.context(leader);
          const before = await askedOf(leader);
          const id = memberId('n2');
          const own = {
            id,
            apiUrl: 'http://127.0.0.1:1',
            host: '127.0.0.1',
            port: input.listen.port,
            tags: DEFAULT_TAGS,
          };
          await engine.execute(
            { kind: 'clone', from: leader.id },
            { ...context, self: id, members: new Map([...context.members, [id, own]]) },
          );
          const { error } = await eventually('the failure', async () => engine.takeFailures()[0] ?? null);
          assert.equal(error.code, 'ENGINE_DISK_FULL', error.message);
          assert.match(error.message, /[Mm]ake room/);
          if (sizeMb < 20)
            assert.deepEqual(await askedOf(leader), before, 'the leader was asked for nothing but the size');
          assert.equal((await engine.observe()).state.kind, 'absent');
          assert.deepEqual(await readdir(disk), []);
          await engine.close('stop');
        } finally {
          execFileSync('umount', ['--lazy', disk]);
        }
      }),
    );
  }
});
