// Goal: on every engine a replica goes below another one and back while writes go on, and neither the death of the intermediate nor
// that of the leader costs an acknowledged write. Method: the real command against a real cluster of three, whole hosts killed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { StatusView } from '@understudy/agent/client';
import { withDeadline } from '@understudy/base';
import { createLocalCluster, type LocalCluster, statusOf } from '@understudy/local';
import { ownCommand } from '../src/invocation.ts';
import { connectToPrimary, driverFor, noAnswer } from '../src/sql/connect.ts';
import type { Session } from '../src/sql/session.ts';
import { cli } from './support/cli.ts';
import { eventually } from './support/eventually.ts';
import { scratchFolder } from './support/folders.ts';

const changeMs = 60_000;
let root = '';
let remove: () => Promise<void> = async () => undefined;

before(async () => {
  const scratch = await scratchFolder();
  ({ remove } = scratch);
  root = scratch.folder;
});

after(() => remove());

for (const [engine, version] of [
  ['postgres', '17'],
  ['mysql', '9.7'],
  ['mariadb', '11.8'],
] as const) {
  test(`${engine}: a tree of replicas is made, broken and mended, and nothing acknowledged is lost`, async (t) => {
    const folder = join(root, engine);
    const cluster = await createLocalCluster({ folder, engine, version, nodes: 3, command: ownCommand });
    t.after(() => cluster.destroy());
    const first = await cluster.start();
    const [middle = '', lowest = ''] = cluster.nodes.map(({ name }) => name).filter((name) => name !== first);
    const move = (member: string, under: string) =>
      cli(['topology', 'move', member, '--under', under, '--json', '--data-dir', folder]);
    const writer = new Writer(cluster, engine);
    t.after(() => writer.stop());
    await writer.some();

    const moved = await move(lowest, middle);
    assert.equal(moved.code, 0, moved.stderr);
    assert.equal(JSON.parse(moved.stdout).upstream, middle);
    const status = await writer.some().then(() => seen(cluster));
    assert.deepEqual(status.rule?.members, [middle]);
    const circle = await move(middle, lowest);
    assert.equal(circle.code, 3);
    assert.match(circle.stderr, /would be a circle/);

    await cluster.node(middle).killHost();
    await upstreamIs(cluster, lowest, first);
    await writer.some();
    cluster.node(middle).start();
    await upstreamIs(cluster, lowest, middle);
    await upstreamIs(cluster, middle, first);
    await writer.some();

    // The intermediate takes over, or the one below it, which holds as much.
    await cluster.node(first).killHost();
    await writer.some();
    const second = (await seen(cluster)).leader ?? '';
    const third = second === middle ? lowest : middle;
    await upstreamIs(cluster, third, second);
    cluster.node(first).start();
    await upstreamIs(cluster, first, second);

    // Under the leader that was, and back, while it writes.
    const below = await move(third, first);
    assert.equal(below.code, 0, below.stderr);
    await writer.some();
    const back = await move(third, 'leader');
    assert.equal(back.code, 0, back.stderr);
    await writer.stop();
    await writer.heldBy(third);
  });
}

test('a move that does not arrive in time is undone', async (t) => {
  const folder = join(root, 'undone');
  const cluster = await createLocalCluster({ folder, engine: 'postgres', nodes: 3, command: ownCommand });
  t.after(() => cluster.destroy());
  const leader = await cluster.start();
  const [middle = '', lowest = ''] = cluster.nodes.map(({ name }) => name).filter((name) => name !== leader);
  const here = ['--json', '--data-dir', folder];
  const sql = async (on: string, text: string) => {
    const ran = await cli(['sql', '--on', on, text, ...here]);
    assert.equal(ran.code, 0, ran.stderr);
  };
  // It receives and acknowledges, and applies nothing: what the other one holds, it can not pass on for certain.
  await sql(middle, 'select pg_wal_replay_pause()');
  await sql(leader, 'create table something (n int)');
  const late = await cli(['topology', 'move', lowest, '--under', middle, '--timeout', '2s', ...here]);
  assert.equal(late.code, 1);
  const error = JSON.parse(late.stderr).error;
  assert.equal(error.code, 'REQUEST_FAILED');
  assert.match(
    error.message,
    new RegExp(`${lowest} was not under ${middle} within 2 s: .*configured upstream is the leader again`, 's'),
  );
  const config = await cli(['config', 'show', ...here]);
  assert.deepEqual(JSON.parse(config.stdout).upstreams, {});
  await upstreamIs(cluster, lowest, leader);
  await sql(middle, 'select pg_wal_replay_resume()');
  const again = await cli(['topology', 'move', lowest, '--under', middle, ...here]);
  assert.equal(again.code, 0, again.stderr);
  const shown = JSON.parse((await cli(['topology', 'show', ...here])).stdout);
  assert.equal(shown.tree.replicas[0].replicas[0].id, lowest);
});

async function seen(cluster: LocalCluster): Promise<StatusView> {
  return eventually('an answer', () => statusOf(cluster.nodes));
}

/** Waits until a member receives from another one. */
async function upstreamIs(cluster: LocalCluster, member: string, upstream: string): Promise<void> {
  const look = async () => {
    const found = (await statusOf(cluster.nodes))?.members.find(({ id }) => id === member);
    const isThere = found?.agent.kind === 'self' || found?.agent.kind === 'fresh';
    return isThere && found.upstream === upstream && found.receiver?.kind === 'streaming' ? true : null;
  };
  await eventually(`${member} under ${upstream}`, look, changeMs);
}

/** Writes one number after the other to whoever leads, and remembers those that were acknowledged. */
class Writer {
  readonly #cluster: LocalCluster;
  readonly #engine: string;
  readonly #acknowledged: number[] = [];
  readonly #done: Promise<void>;
  #wish: 'go' | 'stop' = 'go';

  constructor(cluster: LocalCluster, engine: string) {
    this.#cluster = cluster;
    this.#engine = engine;
    this.#done = this.#run();
  }

  async #connect(): Promise<Session | null> {
    const driver = await driverFor(this.#engine);
    const hosts = this.#cluster.nodes.map(({ name, address }) => ({ name, host: address.host, port: address.dbPort }));
    return connectToPrimary(driver, hosts, { ...this.#cluster.login, ca: null }, 1000).catch(() => null);
  }

  async #run(): Promise<void> {
    for (let number = 1; this.#wish === 'go'; ) {
      const session = await this.#connect();
      try {
        if (session !== null && number === 1)
          await session.run('create table if not exists kept (n bigint primary key)');
        for (; session !== null && this.#wish === 'go'; number++) {
          await withDeadline(session.run(`insert into kept values (${number})`), 5000, noAnswer(5000));
          this.#acknowledged.push(number);
        }
      } catch {
        // The outcome of this one is not known: it is not asked for again.
        number++;
      } finally {
        await session?.close();
      }
    }
  }

  /** Waits until more has been acknowledged. */
  async some(): Promise<void> {
    const before = this.#acknowledged.length;
    await eventually('acknowledged writes', () => (this.#acknowledged.length > before + 10 ? true : null), changeMs);
  }

  async stop(): Promise<void> {
    this.#wish = 'stop';
    await this.#done;
  }

  /** Waits until a member shows everything that was acknowledged. */
  async heldBy(member: string): Promise<void> {
    const { host, dbPort: port } = this.#cluster.node(member).address;
    const driver = await driverFor(this.#engine);
    const session = await driver.connect({ name: member, host, port }, { ...this.#cluster.login, ca: null }, 5000);
    try {
      await eventually(`everything on ${member}`, async () => {
        const rows = await session.query('select n from kept', []);
        const held = new Set(rows.map(({ n }) => Number(n)));
        return this.#acknowledged.every((number) => held.has(number)) ? true : null;
      });
    } finally {
      await session.close();
    }
  }
}
