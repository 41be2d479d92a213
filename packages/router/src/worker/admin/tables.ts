/** The tables of the console, from the reports of all workers. */

import type { WorkerReport } from '../../supervisor/messages.ts';
import type { ClusterView } from '../../topology/view.ts';

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

const HELP = ['HELP', 'POOLS', 'CLIENTS', 'SERVERS', 'STATS', 'LISTS', 'NODES', 'VERSION'];

/** Null for what the console does not know. */
export function tableOf(name: string, view: ClusterView, reports: readonly WorkerReport[]): Table | null {
  switch (name) {
    case 'help':
      return { columns: ['command'], rows: HELP.map((each) => [`SHOW ${each}`]) };
    case 'version':
      return { columns: ['version'], rows: [['PgBouncer 1.18.0 (commands of; Understudy router)']] };
    case 'pools':
      return pools(reports);
    case 'clients':
      return clients(reports);
    case 'servers':
      return servers(reports);
    case 'stats':
      return stats(reports);
    case 'lists':
      return lists(reports);
    case 'nodes':
      return nodes(view);
    default:
      return null;
  }
}

function pools(reports: readonly WorkerReport[]): Table {
  const columns = [
    'database',
    'user',
    'cl_active',
    'cl_waiting',
    'cl_idle',
    'sv_active',
    'sv_idle',
    'sv_used',
    'sv_tested',
    'sv_login',
    'maxwait',
    'maxwait_us',
    'pool_mode',
  ];
  const sums = new Map<string, (string | number)[]>();
  for (const pool of reports.flatMap((each) => each.pools)) {
    const key = `${pool.database}\0${pool.user}`;
    const row = sums.get(key) ?? [pool.database, pool.user, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'transaction'];
    const { clientsActive, clientsWaiting, clientsIdle, serversActive, serversIdle, serversOpening } = pool;
    const add = [clientsActive, clientsWaiting, clientsIdle, serversActive, serversIdle, 0, 0, serversOpening];
    sums.set(
      key,
      row.map((value, at) => (typeof value === 'number' && at < 10 ? value + (add[at - 2] ?? 0) : value)),
    );
  }
  return { columns, rows: [...sums.values()] };
}

function clients(reports: readonly WorkerReport[]): Table {
  const columns = ['type', 'user', 'database', 'state', 'pid', 'node', 'pinned'];
  const rows = reports
    .flatMap((each) => each.clients)
    .map(({ user, database, state, processId, member, pins }) => [
      'C',
      user,
      database,
      state,
      processId,
      member,
      pins.join(', '),
    ]);
  return { columns, rows };
}

function servers(reports: readonly WorkerReport[]): Table {
  const columns = ['type', 'user', 'database', 'state', 'node', 'addr', 'remote_pid'];
  const rows = reports
    .flatMap((each) => each.servers)
    .map(({ user, database, state, member, address, processId }) => [
      'S',
      user,
      database,
      state,
      member,
      address,
      processId,
    ]);
  return { columns, rows };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function stats(reports: readonly WorkerReport[]): Table {
  const of = (pick: (report: WorkerReport) => number): number => sum(reports.map(pick));
  const lost = new Map<string, number>();
  for (const { counts } of reports) {
    for (const [code, count] of Object.entries(counts.lost)) lost.set(code, (lost.get(code) ?? 0) + count);
  }
  const rows: (string | number)[][] = [
    ['logins', of(({ counts }) => counts.logins)],
    ['refused_logins', of(({ counts }) => counts.refusedLogins)],
    ['classified', of(({ counts }) => counts.requests)],
    ['cancels', of(({ counts }) => counts.cancels)],
    ['replayed_reads', of(({ counts }) => counts.replayed)],
    ...[...lost].map(([code, count]) => [`lost_${code}`, count]),
  ];
  return { columns: ['name', 'value'], rows };
}

function lists(reports: readonly WorkerReport[]): Table {
  const all = reports.flatMap((each) => each.clients);
  const rows = [
    ['databases', new Set(reports.flatMap((each) => each.pools.map((pool) => pool.database))).size],
    ['users', new Set(reports.flatMap((each) => each.pools.map((pool) => pool.user))).size],
    ['pools', new Set(reports.flatMap((each) => each.pools.map((pool) => `${pool.database}\0${pool.user}`))).size],
    ['used_clients', all.length],
    ['used_servers', sum(reports.map((each) => each.servers.length))],
  ] as const;
  return { columns: ['list', 'items'], rows };
}

function nodes({ epoch, members, primary }: ClusterView): Table {
  const columns = ['node', 'address', 'serves', 'primary', 'lag_ms', 'epoch'];
  const rows = members.map(({ name, host, port, serves, lagMs }) => [
    name,
    `${host}:${port}`,
    serves,
    name === primary ? 'yes' : 'no',
    lagMs,
    epoch,
  ]);
  return { columns, rows };
}
