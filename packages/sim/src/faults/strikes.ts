import { nameOf } from '../agent/observe.ts';
import { kill, terminate } from '../server/lifecycle.ts';
import { copyEnd } from '../server/received.ts';
import { connectStranger } from '../server/semi-sync.ts';
import type { FaultAction, FaultKind } from './fault.ts';
import { meddle } from './meddle.ts';
import { meddlePostgres } from './meddle-postgres.ts';
import { putBack } from './put-back.ts';
import type { Striker } from './striker.ts';

type Strikes = { readonly [Kind in FaultKind]?: (it: Striker, fault: Extract<FaultAction, { kind: Kind }>) => void };

/** What each kind of fault does; `at-command` waits for its command and is not here. */
export const STRIKES: Strikes = {
  'kill-database': (it, { node }) => kill(it.node(node).server),
  'kill-agent': (it, { node }) => it.node(node).agent.crash(),
  'kill-guard': (it, { node }) => it.killGuard(it.node(node)),
  'stop-agent': (it, { node, forMs }) => it.stopAgent(it.node(node), forMs),
  'kill-host': (it, { node, forMs }) => it.killHost(it.node(node), forMs),
  'freeze-agent': (it, { node, forMs }) => it.freezeAgent(it.node(node), forMs),
  'freeze-guard': (it, { node, forMs }) => it.freezeGuard(it.node(node), forMs),
  'freeze-database': (it, { node, forMs }) => it.freezeDatabase(it.node(node).server, forMs),
  'freeze-host': (it, { node, forMs }) => it.freezeHost(it.node(node), forMs),
  'hang-database': (it, { node, forMs }) => it.hang(it.node(node).server, forMs),
  isolate: (it, { node, forMs, clients }) => it.isolate(it.node(node), forMs, clients),
  'cut-one-way': (it, { node, other, forMs }) => it.cut([[it.node(node).index, other]], forMs),
  'cut-pair': (it, { node, other, forMs }) => {
    const { index } = it.node(node);
    const both: [number, number][] = [
      [index, other],
      [other, index],
    ];
    it.cut(both, forMs);
  },
  'cut-store': (it, { node, forMs, direction }) => it.cutStore(it.node(node).index, forMs, direction),
  'cut-clients': (it, { node, forMs }) => it.cutClients(it.node(node).index, forMs),
  'store-down': (it, { forMs, leases }) => it.storeDown(forMs, leases),
  'store-lossy': (it, fault) => it.storeLossy(fault),
  'store-put-back': (it, { agoMs, hosts, forMs }) => putBack(it, agoMs, hosts, forMs),
  'clock-step': (it, { node, byMs }) => {
    it.node(node).clock.wallOffsetMs += byMs;
  },
  'disk-full': (it, { node, forMs }) => it.shift(it.node(node).server, 'diskFull', 1, forMs),
  'slow-disk': (it, { node, forMs, extraMs }) => it.shift(it.node(node).server, 'slowDiskMs', extraMs, forMs),
  'slow-reload': (it, { node, forMs, extraMs }) => it.shift(it.node(node).server, 'slowReloadMs', extraMs, forMs),
  'wal-removed': (it, { node }) => {
    const { server } = it.node(node);
    // A binary log that holds transactions which still wait is not rotated, so not removed either.
    server.removedBelow = server.flavour === 'postgres' ? server.lsn : copyEnd(server);
  },
  switchover: (it, { to, timeoutMs, scheduledInMs }) => {
    const target = to === null ? null : nameOf(it.node(to).index);
    const from = it.world.record?.leader ?? null;
    const wallMs = it.node('leader').clock.wall(it.world.scheduler.now);
    const notBeforeWallMs = scheduledInMs === null ? null : wallMs + scheduledInMs;
    it.request({ kind: 'switchover', id: it.nextRequest(), from, to: target, notBeforeWallMs, timeoutMs });
  },
  failover: (it, { to, proof }) => {
    const target = nameOf(it.node(to).index);
    it.request({ kind: 'failover', id: it.nextRequest(), to: target, proof, timeoutMs: 10_000 });
  },
  reinit: (it, { node }) => {
    it.request({ kind: 'reinit', id: it.nextRequest(), member: nameOf(it.node(node).index) });
  },
  restart: (it, { node }) => {
    it.request({ kind: 'restart', id: it.nextRequest(), member: nameOf(it.node(node).index) });
  },
  pause: (it, { forMs }) => it.pause(forMs),
  config: (it, { change }) => {
    const { store } = it.world;
    const config = store.content.config?.value;
    if (config !== undefined) store.administer([{ key: 'config', value: { ...config, ...change } }]);
  },
  meddle: (it, { node, how }) => meddle(it.node(node).server, how),
  'terminate-database': (it, { node }) => terminate(it.node(node).server),
  stranger: (it, { node }) => connectStranger(it.node(node).server),
  'meddle-postgres': (it, { node, how }) => {
    const { server } = it.node(node);
    meddlePostgres(server, how, it.world.record?.leader === nameOf(server.index) ? 'yes' : 'no');
  },
  tags: (it, { node, change }) => it.tag(it.node(node), change),
};
