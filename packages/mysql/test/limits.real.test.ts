import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { KEEP_END } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { eventually, onStage } from '@understudy/engine/conformance';
import { createMysqlEngine } from '../src/index.ts';
import { mysqlProcesses as serverProcesses } from '../src/process/server-process.ts';
import { ServerSession } from '../src/sql/session.ts';
import { mysqlHarness, nodeOf, testSecrets } from './harness.ts';
import { testServerNames, testServers } from './servers.ts';

const isCode = (code: string) => (error: unknown) => error instanceof EngineError && error.code === code;

for (const server of await testServers(testServerNames)) {
  const harness = mysqlHarness(server);
  describe(`${server.flavour} ${server.version}: limits`, () => {
    it('refuses a port that another program has, and a file of the user that sets what is ours', () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(stage.node(1));
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        const other = createServer();
        await new Promise<void>((resolve) => other.listen(node.port, '127.0.0.1', () => resolve()));
        try {
          await stage.run(node, { kind: 'start', end: KEEP_END });
          const failure = await eventually('a failed start', async () => node.engine().takeFailures()[0] ?? null);
          assert.equal(failure.error.code, 'ENGINE_PORT_IN_USE');
        } finally {
          await new Promise((resolve) => other.close(resolve));
        }
        const listen = { host: '::1', port: node.port };
        const onSix = createMysqlEngine({ ...node.input, listen }).then((engine) => engine.close('leave-running'));
        if (server.flavour === 'mariadb') await onSix;
        else await assert.rejects(onSix, /CLONE takes no IPv6 address.* host name/);
        const userConfig = `${node.input.dataDir}.cnf`;
        await writeFile(userConfig, '[mysqld]\nmax_connections = 77\nsync-binlog = 0\n', { mode: 0o644 });
        const engine = await createMysqlEngine({ ...node.input, userConfig });
        await engine.execute({ kind: 'start', end: KEEP_END }, stage.context(node));
        const failure = await eventually('a refused start', async () => engine.takeFailures()[0] ?? null);
        assert.equal(failure.error.code, 'ENGINE_DATA_REFUSED');
        assert.match(failure.error.message, /:3 sets sync-binlog = 0, which Understudy sets itself .*Remove that line/);
        await engine.close('leave-running');
      }));

    it("reads the user's own file, shows no secret, and gives what changes to the running server", () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(stage.node(1));
        const userConfig = `${node.input.dataDir}.cnf`;
        await writeFile(userConfig, '[mysqld]\nmax_connections = 77\n', { mode: 0o644 });
        await node.reopen({ userConfig, parameters: { table_open_cache: '300' } });
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        await stage.startFenced(node);
        assert.deepEqual(await node.variables(['max_connections', 'table_open_cache']), ['77', '300']);
        const parameters = { max_connections: '99', back_log: '60', nonsense: '1' };
        await node.engine().maintain({ ...stage.context(node), parameters });
        assert.deepEqual(await node.variables(['max_connections']), ['99']);
        const { details } = await node.engine().observe();
        assert.deepEqual(details.pendingRestart, ['back_log']);
        assert.match(details.warnings.join(), /nonsense of the cluster is not known/);
        await assertNoSecrets(node.input.dataDir, node.input.runDir);
      }));

    it('ends a statement at its deadline, and leaves the statement out of what it says', () =>
      onStage(harness, 1, async (stage) => {
        const node = nodeOf(stage.node(1));
        await stage.run(node, { kind: 'initialize' });
        await stage.until(node, 'stopped');
        await stage.startFenced(node);
        const at = { kind: 'socket', path: join(node.input.runDir, 'mysql.sock') } as const;
        const login = { at, user: 'us_admin', password: testSecrets.admin, tls: null };
        const session = await ServerSession.open(login, 2000);
        const big = 12_345_678_901_234_567_890n;
        assert.deepEqual(await session.query("select ? as a, ? as b, 'x' as c", [big, null]), [
          { a: String(big), b: null, c: 'x' },
        ]);
        const refused = await session.query("alter user nobody identified by 'hidden word'").catch((error) => error);
        assert(isCode('ENGINE_INTERNAL')(refused));
        assert.doesNotMatch(`${refused.message} ${JSON.stringify(refused.cause)}`, /hidden/);
        await assert.rejects(session.query('select sleep(30)', [], 200), isCode('ENGINE_TIMEOUT'));
        assert.equal(session.isOpen, false);
        await assert.rejects(session.query('select 1'), isCode('ENGINE_UNREACHABLE'));
        const wrong = ServerSession.open({ ...login, password: 'not the password' }, 2000);
        await assert.rejects(wrong, isCode('ENGINE_LOGIN_FAILED'));
      }));
  });
}

async function assertNoSecrets(dataDir: string, runDir: string): Promise<void> {
  const [pid] = await serverProcesses(dataDir);
  const texts = [await readFile(`/proc/${pid}/cmdline`, 'utf8'), await readFile(`/proc/${pid}/environ`, 'utf8')];
  for (const name of await readdir(runDir, { withFileTypes: true })) {
    if (name.isFile()) texts.push(await readFile(join(runDir, name.name), 'utf8'));
  }
  texts.push(await readFile(join(dataDir, 'understudy.json'), 'utf8'));
  for (const secret of Object.values(testSecrets)) {
    assert.equal(
      texts.some((text) => text.includes(secret)),
      false,
    );
  }
}
