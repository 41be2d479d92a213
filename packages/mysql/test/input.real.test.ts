import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { epoch, KEEP_END } from '@understudy/core';
import { type ConformanceNode, eventually, onStage, type Stage } from '@understudy/engine/conformance';
import type { MysqlServer } from '@understudy/servers';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

/** What a person can give a server that no cluster can live with: named with the value and the fix, before anything is changed. */
const settings: Readonly<Record<MysqlServer['flavour'], readonly (readonly [line: string, named: RegExp])[]>> = {
  mysql: [
    ['gtid_mode = OFF', /sets gtid_mode = OFF, .*positions are sets of GTIDs.* Remove that line/],
    ['enforce-gtid-consistency = WARN', /sets enforce-gtid-consistency = WARN/],
  ],
  mariadb: [
    ['gtid_strict_mode = 0', /sets gtid_strict_mode = 0, .*Remove that line/],
    ['gtid-domain-id = 5', /sets gtid-domain-id = 5/],
  ],
};
const common: readonly (readonly [line: string, named: RegExp])[] = [
  ['skip-log-bin', /:2 sets skip-log-bin, which Understudy sets itself .*every member must be able to become a source/],
  ['disable_log_bin', /sets disable_log_bin, /],
  ['binlog_format = STATEMENT', /sets binlog_format = STATEMENT, .*Remove that line/],
  ['server-id = 1', /sets server-id = 1, .*comes from the options of this member/],
  ['replicate-ignore-db = shop', /sets replicate-ignore-db = shop, .*every member must hold the same data/],
  ['binlog_do_db = shop', /sets binlog_do_db = shop, .*same data/],
];

const chosen = process.env.UNDERSTUDY_TEST_MYSQL;
const servers = await testServers(testServerNames.filter((name) => chosen === undefined || name === chosen));
for (const server of servers) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: bad input`, { concurrency: 2 }, () => {
    it('in a file of the user is refused with line, value and fix, and nothing is touched', () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(stage.node(1));
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        const before = await readdir(node.input.dataDir);
        const userConfig = `${node.input.dataDir}.cnf`;
        for (const [line, named] of [...common, ...settings[server.flavour]]) {
          await writeFile(userConfig, `[mysqld]\n${line}\n`, { mode: 0o644 });
          await node.reopen({ userConfig });
          await stage.run(node, { kind: 'start', end: KEEP_END });
          const { error } = await failureOf(node);
          assert.equal(error.code, 'ENGINE_DATA_REFUSED');
          assert.match(error.message, named);
          assert.equal((await stage.until(node, 'stopped')).shutdown, 'clean');
        }
        assert.deepEqual(await readdir(node.input.dataDir), before);
      }));

    it('at run time is named with value and fix: row format, GTIDs', () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(await stage.found());
        const mode =
          server.flavour === 'mysql' ? ['gtid_mode', 'ON_PERMISSIVE', 'ON'] : ['gtid_strict_mode', 'OFF', 'ON'];
        await node.sql(['set global binlog_format = statement', `set global ${mode[0]} = ${mode[1]}`]);
        await node.reopen();
        await warned(stage, node, /binlog_format was changed to STATEMENT, .* Run SET GLOBAL binlog_format = ROW/);
        await warned(
          stage,
          node,
          new RegExp(`${mode[0]} was changed to ${mode[1]}, .* Run SET GLOBAL ${mode[0]} = ${mode[2]}`),
        );
      }));

    it('of two servers with one server_id, or one UUID, is named by the one that receives', () =>
      onStage(harness, 2, async (stage) => {
        const leader = await stage.found();
        const replica = nodeOf(stage.node(2));
        await stage.join(replica, leader);
        const again = async () => {
          await stage.run(replica, { kind: 'start', end: KEEP_END });
          await stage.until(replica, 'replica', ({ position }) => position !== null);
          await stage.run(replica, { kind: 'follow', upstream: leader.id, epoch: epoch(1) });
        };
        await stop(stage, replica);
        await replica.reopen({ serverId: 1 });
        await again();
        await warned(
          stage,
          replica,
          /Nothing can be received: error \d+: .*equal .*server ids.* engine\.serverId of its own/,
        );
        if (server.flavour === 'mariadb') return;
        await stop(stage, replica);
        await replica.reopen({ serverId: 2 });
        await copyFile(join(nodeOf(leader).input.dataDir, 'auto.cnf'), join(replica.input.dataDir, 'auto.cnf'));
        await again();
        await warned(stage, replica, /Nothing can be received: error \d+: .*UUID.* remove auto\.cnf/i);
      }));

    it('is not a password that the server itself would refuse', () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(await stage.found());
        await node.sql([
          server.flavour === 'mysql'
            ? "install component 'file://component_validate_password'"
            : "install soname 'simple_password_check'",
        ]);
        await node.reopen({ secrets: { ...testSecrets, replication: 'anotherpassword' } });
        await stage.run(node, { kind: 'provision' });
        await stage.until(node, 'primary');
        assert.deepEqual(node.engine().takeFailures(), []);
        if (server.flavour === 'mysql') return;
        const [strict] = await node.ask('select @@global.strict_password_validation as value');
        assert.equal(Number(strict?.value), 1, 'the check counts for others as before');
      }));

    it('is data of the other product', (test) =>
      onStage(harness, 1, async (stage) => {
        const other = servers.find(({ flavour }) => flavour !== server.flavour);
        if (other === undefined) return test.skip('there is only one product on this machine');
        const node = nodeOf(stage.node(1));
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        await node.reopen({ binaries: { baseDir: other.baseDir, server: other.tools.server } });
        const { problem } = await stage.until(node, 'refused');
        assert.match(
          problem,
          /is a data directory of (MySQL|MariaDB), the programs are (MariaDB|MySQL)\. Use the programs of/,
        );
        await stage.run(node, { kind: 'start', end: KEEP_END });
        assert.equal((await failureOf(node)).error.code, 'ENGINE_DATA_REFUSED');
      }));

    it('is a file system that nobody can write to', (test) =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(stage.node(1));
        const place = `${node.input.dataDir}.disk`;
        await mkdir(place);
        try {
          execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'understudy-test', place], { stdio: 'ignore' });
        } catch {
          return test.skip('this process may not mount');
        }
        try {
          await node.reopen({ dataDir: join(place, 'data') });
          await stage.run(node, { kind: 'initialize' });
          const { error } = await failureOf(node);
          assert.equal(error.code, 'ENGINE_DATA_REFUSED');
          assert.match(
            error.message,
            /new database failed because the file system is read-only \(EROFS.*Mount it for writing/,
          );
        } finally {
          execFileSync('umount', [place]);
        }
      }));
  });
}

const failureOf = (node: ConformanceNode) =>
  eventually('a failure', async () => node.engine().takeFailures()[0] ?? null);

async function stop(stage: Stage, node: ConformanceNode): Promise<void> {
  await stage.run(node, { kind: 'stop', mode: 'orderly' });
  await stage.until(node, 'stopped');
}

/** Waits until the engine warns of it. */
async function warned(stage: Stage, node: ConformanceNode, pattern: RegExp): Promise<string> {
  const seen = async () => (await node.engine().observe()).details.warnings;
  return eventually(
    String(pattern),
    async () => {
      await node.engine().maintain(stage.context(node));
      return (await seen()).find((warning) => pattern.test(warning)) ?? null;
    },
    async () => (await seen()).join('\n'),
  );
}
