import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeAuthority, makeCertificate, type Names } from '@understudy/certs';
import { DEFAULT_TAGS, epoch, memberId } from '@understudy/core';
import { eventually, Stage } from '@understudy/engine/conformance';
import {
  postgresRogue,
  type Rogue,
  type RogueCertificate,
  recorder,
  replayer,
  rogueHost,
} from '@understudy/engine/rogue';
import type { PostgresServer } from '@understudy/servers';
import { passwordFileContent, receiverConninfo } from '../src/config/conninfo.ts';
import { secureLink } from '../src/config/secure-link.ts';
import { PgSession, type SessionTarget } from '../src/sql/session.ts';
import { makeOwnFolder, postgresHarness, serversOf, type TestNode, testSecrets } from './harness.ts';

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

type Shown = 'right' | 'no TLS' | 'self-signed' | 'another authority' | 'wrong name' | 'a client';
const strangers = ['no TLS', 'self-signed', 'another authority', 'wrong name', 'a client'] as const;
/** What no server of ours asks. By `scram`, one that does not know the password. */
const questions = ['clear', 'md5', 'nothing', 'scram'] as const;

interface Papers {
  readonly ours: Files;
  /** Of the same authority, for another member. */
  readonly others: Files;
  readonly of: Readonly<Record<Shown, RogueCertificate | null>>;
}

const here: Names = { hosts: [], addresses: ['127.0.0.1', rogueHost] };
const elsewhere: Names = { hosts: ['localhost', 'elsewhere.example'], addresses: ['127.0.0.9'] };

async function makePapers(t: TestContext): Promise<Papers> {
  const root = await makeOwnFolder(t);
  const [own, other] = [join(root, 'ca'), join(root, 'other')];
  await makeAuthority({ folder: own });
  const stranger = await makeAuthority({ folder: other });
  const make = async (name: string, names: Names | null, authority = own): Promise<Files> => {
    const kind = names === null ? ({ kind: 'client' } as const) : ({ kind: 'node', names } as const);
    const { files } = await makeCertificate({ authority, name, prefix: join(root, name), ...kind });
    return { ca: join(authority, 'ca.pem'), ...files };
  };
  const [ours, others] = [await make('n1', here), await make('n2', elsewhere)];
  return {
    ours,
    others,
    of: {
      right: await texts(ours),
      'no TLS': null,
      'self-signed': await texts(stranger.files),
      'another authority': await texts(await make('foreign', here, other)),
      'wrong name': await texts(others),
      'a client': await texts(await make('alice', null)),
    },
  };
}

async function texts({ cert, key }: Pick<Files, 'cert' | 'key'>): Promise<RogueCertificate> {
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

function assertNothingGiven({ loot }: Rogue, who: string): void {
  assert.deepEqual([loot.users, loot.answers, loot.passwords, loot.commands], [[], [], [], []], who);
}

/** How the agent logs in at another member. */
async function target({ host, port }: Pick<Rogue, 'host' | 'port'>, tls: Files | null): Promise<SessionTarget> {
  const login = { user: 'understudy_replication', password: testSecrets.replication, database: 'postgres' };
  const session = { replication: 'physical', applicationName: 'test', options: '' } as const;
  const ssl =
    tls === null ? null : { ca: await readFile(tls.ca, 'utf8'), ...(await texts(tls)), verify: 'full' as const };
  return { host, port, ...login, ...session, ssl };
}

describe('a rogue in the place of a member of PostgreSQL, and a session of the agent', () => {
  it('gets nothing, whatever it shows or asks', async (t) => {
    const papers = await makePapers(t);
    for (const shows of strangers) {
      const rogue = await postgresRogue({ tls: papers.of[shows], asks: 'clear' });
      await assert.rejects(PgSession.open(await target(rogue, papers.ours), 5000), shows);
      assertNothingGiven(rogue, shows);
      await rogue.close();
    }
    for (const shows of ['right', 'no TLS'] as const) {
      for (const asks of questions) {
        const rogue = await postgresRogue({ tls: papers.of[shows], asks });
        const tls = shows === 'right' ? papers.ours : null;
        await assert.rejects(PgSession.open(await target(rogue, tls), 5000), `${shows} ${asks}`);
        assert.deepEqual([rogue.loot.passwords, rogue.loot.commands], [[], []], `${shows} ${asks}`);
        assert.equal(rogue.loot.users.length, 1, `${shows} ${asks}`);
        // Without TLS there is nothing that a proof could be bound to.
        if (asks !== 'scram' || shows === 'right') assert.deepEqual(rogue.loot.answers, [], `${shows} ${asks}`);
        await rogue.close();
      }
    }
  });
});

/** Lets a program of libpq copy from a rogue, with what a receiver demands of its source. */
async function copyFrom(
  t: TestContext,
  rogue: Rogue,
  { tools, major }: PostgresServer,
  tls: Files | null,
): Promise<void> {
  assert.ok(tools.pgBasebackup);
  const folder = await makeOwnFolder(t);
  const passwords = join(folder, 'passwords');
  await writeFile(
    passwords,
    passwordFileContent([{ user: 'understudy_replication', password: testSecrets.replication }]),
    { mode: 0o600 },
  );
  const upstream = { id: memberId('n1'), apiUrl: '', host: rogue.host, port: rogue.port, tags: DEFAULT_TAGS };
  const link = secureLink(tls === null ? null : { ...tls, verify: 'full' }, major);
  const from = receiverConninfo(upstream, 'understudy_replication', 'test', passwords, link);
  const child = spawn(tools.pgBasebackup, ['-d', from, '-D', join(folder, 'copy'), '-X', 'none', '-w'], {
    stdio: 'ignore',
  });
  const [code] = await once(child, 'exit');
  assert.notEqual(code, 0);
}

for (const server of await serversOf([17, 15])) {
  describe(`libpq of PostgreSQL ${server.version}, with the options of a receiver`, () => {
    it('tells a stranger nothing, and answers by SCRAM alone', async (t) => {
      const papers = await makePapers(t);
      for (const shows of strangers) {
        const rogue = await postgresRogue({ tls: papers.of[shows], asks: 'clear' });
        await copyFrom(t, rogue, server, papers.ours);
        assertNothingGiven(rogue, shows);
        await rogue.close();
      }
      for (const shows of ['right', 'no TLS'] as const) {
        // That of 15 cannot demand it without TLS.
        for (const asks of shows === 'no TLS' && server.major < 16 ? [] : questions) {
          const rogue = await postgresRogue({ tls: papers.of[shows], asks });
          await copyFrom(t, rogue, server, shows === 'right' ? papers.ours : null);
          assert.equal(rogue.loot.users.length, 1, `${shows} ${asks}`);
          assert.deepEqual([rogue.loot.passwords, rogue.loot.commands], [[], []], `${shows} ${asks}`);
          if (asks !== 'scram' || shows === 'right') assert.deepEqual(rogue.loot.answers, [], `${shows} ${asks}`);
          await rogue.close();
        }
      }
    });
  });

  describe(`PostgreSQL ${server.version}: a rogue in the place of a member`, () => {
    it('gets nothing from a receiver, whatever it shows or asks, and nothing by saying again what the right one said', async (t) => {
      const papers = await makePapers(t);
      const stage = new Stage(await postgresHarness(server, { tls: papers.ours }).makeCluster(2));
      try {
        const [leader, replica] = [await stage.found(), stage.node(2)];
        const between = await recorder(leader);
        await (await PgSession.open(await target(between, papers.ours), 5000)).close();
        const again = await replayer(between.recording(), 'client');
        await assert.rejects(PgSession.open(await target(again, papers.ours), 3000));
        assert.deepEqual(again.loot.commands, []);
        await again.close();
        await between.close();
        await stage.run(replica, { kind: 'clone', from: leader.id });
        await stage.until(replica, 'stopped');
        await stage.startFenced(replica);
        for (const shows of strangers) {
          const rogue = await postgresRogue({ tls: papers.of[shows], asks: 'clear' });
          await receiveFrom(stage, replica as TestNode, rogue);
          assertNothingGiven(rogue, shows);
          await rogue.close();
        }
        for (const asks of questions) {
          const rogue = await postgresRogue({ tls: papers.of.right, asks });
          await receiveFrom(stage, replica as TestNode, rogue);
          assert(rogue.loot.users.length > 0, asks);
          assert.deepEqual([rogue.loot.answers, rogue.loot.passwords, rogue.loot.commands], [[], [], []], asks);
          await rogue.close();
        }
        // The right one is followed after all that.
        await stage.follow(replica, leader);
      } finally {
        await stage.close();
      }
    });
  });
}

/** Lets a replica receive from a rogue until it has come twice: what it was told the first time did not let it in. */
async function receiveFrom(stage: Stage, replica: TestNode, rogue: Rogue): Promise<void> {
  const context = stage.context(replica);
  const members = new Map(context.members);
  const [id, member] = [...members].find(([each]) => each !== replica.id) ?? [];
  assert(id !== undefined && member !== undefined);
  members.set(id, { ...member, host: rogue.host, port: rogue.port });
  await replica.engine().execute({ kind: 'follow', upstream: id, epoch: epoch(1) }, { ...context, members });
  await eventually('the receiver', async () => (rogue.loot.connections >= 2 ? true : null));
}
