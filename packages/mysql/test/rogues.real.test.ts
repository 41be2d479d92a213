import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { memberId } from '@understudy/core';
import { eventually } from '@understudy/engine/conformance';
import { makeFolder } from '@understudy/engine/host';
import { type MysqlQuestion, type Rogue, recorder, replayer } from '@understudy/engine/rogue';
import { copyByPlugin } from '../src/clone/by-plugin.ts';
import type { CopyHost } from '../src/clone/copy-job.ts';
import { withTemporaryServer } from '../src/clone/temporary-server.ts';
import { type ChannelTarget, changeStatement, startReceiver } from '../src/commands/channel-statements.ts';
import { renderClientConfig } from '../src/config/file.ts';
import { copyTemplate, ensureTemplate } from '../src/disk/template.ts';
import { runProgram } from '../src/process/program.ts';
import { programOf } from '../src/programs.ts';
import { openMember } from '../src/sql/local.ts';
import { ServerSession } from '../src/sql/session.ts';
import { makeOwnFolder, makeRoot, testSecrets } from './harness.ts';
import { copyHost, giveToServer, makePapers, type Papers, rogueLike, type Shown } from './rogues.ts';
import { testServerNames, testServers } from './servers.ts';

const strangers = ['no TLS', 'self-signed', 'another authority', 'wrong name', 'a client'] as const;
/** `rogueHost` as a number: a name for the resolver, and for nobody who looks whether it is this machine's. */
const unknownPlace = String(0x7f00_0002);

/** Nobody said who he is, and nothing of a password was sent. */
function assertNothingGiven({ loot }: Rogue, who: string): void {
  assert.deepEqual([loot.users, loot.answers, loot.passwords, loot.commands], [[], [], [], []], who);
  assert(loot.connections > 0, `nobody came to ${who}`);
}

for (const server of await testServers(testServerNames)) {
  describe(`${server.flavour} ${server.version}: a rogue in the place of a member`, () => {
    let root: string;
    let paperFolder: string;
    let papers: Papers;
    let host: CopyHost;
    const rogueThat = (shows: Shown, asks: MysqlQuestion) => rogueLike(server, papers.of[shows], asks);
    const trust = (rogue: Rogue) => openMember(host.options, rogue, 'clone', 5000);

    before(async () => {
      root = await makeRoot();
      paperFolder = await makeOwnFolder();
      papers = await makePapers(paperFolder);
      host = await copyHost(server, root, papers.ours);
      await makeFolder(host.paths.runDir, host.owner);
      await host.config.copyCertificates();
    });
    after(async () => {
      for (const folder of [root, paperFolder]) await rm(folder, { recursive: true, force: true });
    });

    it('gets nothing from a session of the agent, whatever it shows or asks', async () => {
      for (const shows of strangers) {
        const rogue = await rogueThat(shows, 'clear');
        await assert.rejects(trust(rogue), shows);
        assertNothingGiven(rogue, shows);
        await rogue.close();
      }
      // Even one with the key of a member is not told a password by what no member asks.
      for (const asks of ['clear', 'sha256', 'old'] as const) {
        const rogue = await rogueThat('right', asks);
        await assert.rejects(trust(rogue), asks);
        assert.deepEqual(rogue.loot.passwords, [], asks);
        await rogue.close();
      }
      const right = await rogueThat('right', server.flavour === 'mysql' ? 'full-sha2' : 'native');
      await (await trust(right)).end();
      await right.close();
    });

    it('gets nothing by saying again what the right server said', async () => {
      const right = await rogueThat('right', 'native');
      const between = await recorder(right);
      await (await ServerSession.open({ ...plainLogin(between), tls: await tlsOf(host) }, 5000)).end();
      const again = await replayer(between.recording(), 'server');
      await assert.rejects(openMember(host.options, again, 'clone', 2000));
      assert.deepEqual(again.loot.users, []);
      for (const each of [again, between, right]) await each.close();
    });

    it('without TLS, learns the password from nobody who does not know that it is on this machine', async () => {
      for (const asks of ['clear', 'full-sha2', 'sha256', 'old'] as const) {
        const rogue = await rogueThat('no TLS', asks);
        const login = plainLogin({ ...rogue, host: unknownPlace });
        await assert.rejects(ServerSession.open({ ...login, tls: null }, 5000), asks);
        assert(rogue.loot.users.length > 0, asks);
        assert.deepEqual(rogue.loot.passwords, [], asks);
        await rogue.close();
      }
      const accepted = await rogueThat('no TLS', 'full-sha2');
      const login = plainLogin({ ...accepted, host: unknownPlace });
      await (await ServerSession.open({ ...login, tls: null, plain: 'anywhere' }, 5000)).end();
      assert.deepEqual(accepted.loot.passwords, [testSecrets.clone], 'what insecure accepts');
      await accepted.close();
    });

    it('gets nothing from a copy', async () => {
      // The plugin of MySQL checks no names: a member's key is needed for that. Each copy by it starts a server.
      const shown = server.flavour === 'mariadb' ? strangers : (['no TLS', 'self-signed', 'a client'] as const);
      for (const shows of shown) {
        const rogue = await rogueThat(shows, server.flavour === 'mysql' ? 'full-sha2' : 'native');
        await assert.rejects(copyFrom(host, rogue, join(root, `copy of ${shows}`)), shows);
        assertNothingGiven(rogue, shows);
        await rogue.close();
      }
      const right = await rogueThat('right', server.flavour === 'mysql' ? 'full-sha2' : 'native');
      await copyFrom(host, right, join(root, 'copy')).catch(() => undefined);
      assert.equal(right.loot.users[0], 'us_clone', 'the right one is told the login');
      await right.close();
    });

    it('gets nothing from a replica', async () => {
      const data = join(root, 'replica');
      const { signal } = new AbortController();
      await copyTemplate(await ensureTemplate(host.programs, host.options, signal, {}), data, host.owner);
      const small = [
        ['server_id', '7'],
        ['innodb_buffer_pool_size', '32M'],
        ...(server.flavour === 'mysql' ? ([['secure_file_priv', 'NULL']] as const) : []),
      ] as const;
      await withTemporaryServer(host, data, small, signal, 'kill', async ({ session }) => {
        const follow = (rogue: Rogue, more: Pick<ChannelTarget, 'tls' | 'security'>) =>
          receive(host, session, { leader: rogue, ...replicaLogin, delayS: 0, isNew: true, ...more });
        for (const shows of strangers) {
          const rogue = await rogueThat(shows, 'full-sha2');
          await follow(rogue, { tls: host.paths.tls, security: 'full' });
          assertNothingGiven(rogue, shows);
          await rogue.close();
        }
        const right = await rogueThat('right', 'native');
        await follow(right, { tls: host.paths.tls, security: 'full' });
        assert.equal(right.loot.users[0], 'us_copy', 'the right one is told the login');
        await right.close();
        // Beyond this machine, nobody is asked for a key.
        const plain = await rogueThat('no TLS', 'full-sha2');
        await follow(plain, { tls: null, security: 'plain' });
        assert.deepEqual(plain.loot.passwords, []);
        await plain.close();
      });
    });
  });
}

const replicaLogin = { user: 'us_copy', password: testSecrets.replication };

const plainLogin = ({ host, port }: { readonly host: string; readonly port: number }) => ({
  at: { kind: 'tcp', host, port } as const,
  user: 'us_clone',
  password: testSecrets.clone,
});

/** The way by which a flavour copies over a connection of the database. */
async function copyFrom(host: CopyHost, { host: address, port }: Rogue, target: string): Promise<void> {
  const { signal } = new AbortController();
  const from = { id: memberId('n2'), host: address, port };
  if (host.programs.flavour === 'mysql') {
    return copyByPlugin(host, { from, target, totalBytes: null, progress: () => undefined, signal });
  }
  const file = join(host.paths.runDir, 'dump.cnf');
  const login = { host: address, port: String(port), protocol: 'tcp', user: 'us_clone', password: testSecrets.clone };
  await writeFile(file, renderClientConfig(login, { ...host.paths.tls, verify: 'full' }), { mode: 0o600 });
  await giveToServer(file);
  const { code, output } = await runProgram(
    programOf(host.programs.dump, 'mariadb-dump'),
    [`--defaults-file=${file}`, '--all-databases'],
    {
      home: host.paths.runDir,
      libraryPath: host.programs.libraryPath,
      owner: host.owner,
      timeoutMs: 20_000,
      failure: 'ENGINE_CLONE_FAILED',
    },
  );
  if (code !== 0) throw new Error(output);
}

/** Lets a replica receive until it has an error: no rogue can do what a source does. */
async function receive(host: CopyHost, session: ServerSession, target: ChannelTarget): Promise<void> {
  const { dialect } = host;
  await session.query(changeStatement(dialect, target), [], 5000);
  await session.query(startReceiver(dialect, target.user, target.password), [], 5000);
  await eventually('an error of the receiver', async () => {
    const [row] = await session.query(dialect.channelStatus, [], 5000);
    const text = row?.Last_IO_Error ?? '';
    return text === '' ? null : text;
  });
  await session.query(`STOP ${dialect.replica}`, [], 30_000);
  await session.query(`RESET ${dialect.replica} ALL`, [], 30_000);
}

async function tlsOf({ options }: CopyHost) {
  assert(options.tls !== null);
  return { ca: await readFile(options.tls.ca, 'utf8'), own: null, verify: 'full' } as const;
}
