/**
 * Latency of store operations: `npm run bench -w packages/store [-- n]`. Prints the machine, versions and number of
 * operations, then min, median, 99th percentile and max in ms for each adapter. A benchmark, not a test.
 */

import { cpus } from 'node:os';
import { openStore, type Store } from '@understudy/store';
import { EtcdServers, etcdPrograms } from './support/etcd.ts';
import { makeLocalPlace } from './support/local.ts';

const CALL = { deadlineMs: 10_000 };
const n = Number(process.argv[2] ?? 500);

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.versions.node}, n = ${n}, ms`);

const place = makeLocalPlace();
try {
  await measure(`local (SQLite ${process.versions.sqlite ?? ''})`, () => place.open());
  await idle(await place.open());
} finally {
  place.remove();
}
for (const program of await etcdPrograms()) {
  for (const members of [1, 3] as const) {
    const servers = await EtcdServers.start(program, { members });
    try {
      const open = () => openStore({ kind: 'etcd', endpoints: servers.endpoints, cluster: 'bench' });
      await measure(`etcd ${program.version}, ${members} member(s)`, open);
    } finally {
      await servers.stop();
    }
  }
}

async function measure(name: string, open: () => Promise<Store>): Promise<void> {
  console.log(`\n${name}`);
  const [store, watcher] = [await open(), await open()];
  for (let key = 0; key < 30; key += 1) await put(store, `key-${key}`, 'x'.repeat(200));
  const lease = await store.grantLease(60_000, CALL);
  await report('read (30 keys)', () => store.read(CALL));
  await report('transact', (i) => put(store, 'k', String(i)));
  await report('keepAlive', () => store.keepAlive(lease.id, CALL));
  await report('read, compare, write, read', async (i) => {
    const entry = (await store.read(CALL)).entries.get('k');
    if (entry === undefined) throw new Error('the key is gone');
    const compare = { kind: 'unchanged', key: 'k', modRevision: entry.modRevision } as const;
    await store.transact([compare], [{ kind: 'put', key: 'k', value: `again ${i}` }], CALL);
    await store.read(CALL);
  });
  let seen: (value: string | undefined) => void = () => undefined;
  const watch = watcher.watch({
    onSnapshot: ({ entries }) => seen(entries.get('k')?.value),
    onError: (error) => console.log(error.message),
  });
  await report('write until a watch elsewhere shows it', async (i) => {
    const shown = new Promise<void>((resolve) => {
      seen = (value) => value === `shown ${i}` && resolve();
    });
    await put(store, 'k', `shown ${i}`);
    await shown;
  });
  await watch.close();
  await Promise.all([store.close(), watcher.close()]);
}

/** CPU time of one idle watch, in percent of a core. */
async function idle(store: Store): Promise<void> {
  const lease = await store.grantLease(60_000, CALL);
  await store.transact([], [{ kind: 'put', key: 'k', value: 'v', lease: lease.id }], CALL);
  const watch = store.watch({ onSnapshot: () => undefined, onError: (error) => console.log(error.message) });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const used = process.cpuUsage(before);
  console.log(`${'idle watch, CPU'.padEnd(42)} ${((used.user + used.system) / 100_000).toFixed(3)} % of a core`);
  await watch.close();
  await store.close();
}

async function put(store: Store, key: string, value: string): Promise<void> {
  await store.transact([], [{ kind: 'put', key, value }], CALL);
}

async function report(name: string, operation: (i: number) => Promise<unknown>): Promise<void> {
  const latenciesMs: number[] = [];
  for (let i = 0; i < n; i += 1) {
    const startMs = performance.now();
    await operation(i);
    latenciesMs.push(performance.now() - startMs);
  }
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => (latenciesMs[Math.floor(share * (n - 1))] ?? Number.NaN).toFixed(2).padStart(7);
  console.log(`${name.padEnd(42)} ${at(0)} ${at(0.5)} ${at(0.99)} ${at(1)}`);
}
