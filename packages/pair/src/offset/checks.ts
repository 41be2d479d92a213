import type { Finding, ServerFacts } from './facts.ts';

type Add = (server: ServerFacts, weight: Finding['weight'], text: string, fix: string) => void;

/**
 * What speaks against replication by file and offset between two servers.
 *
 * @param purpose `setup`: the replica is to be made; `switchover`: the roles are to be exchanged.
 */
export function checkServers(
  primary: ServerFacts,
  replica: ServerFacts,
  purpose: 'setup' | 'switchover',
): readonly Finding[] {
  const found: Finding[] = [];
  const add: Add = (server, weight, text, fix) => found.push({ server: server.name, weight, text, fix });
  for (const server of [primary, replica]) checkOne(server, add);
  checkTogether(primary, replica, purpose, add);
  if (purpose === 'setup') checkForSetup(primary, replica, add);
  else checkForSwitchover(primary, replica, add);
  return found;
}

function checkOne(server: ServerFacts, add: Add): void {
  const { logBin, binlogFormat, rowImage, serverId, gtidMode, logFilters, replica, otherEngines } = server;
  if (logBin === 'off')
    add(server, 'refuse', 'Its binary log is off.', 'Start it with log_bin=binlog in its [mysqld] group.');
  if (binlogFormat !== 'ROW') {
    add(
      server,
      'refuse',
      `binlog_format is ${binlogFormat}.`,
      "SET GLOBAL binlog_format = 'ROW', also in its file, and let clients connect anew.",
    );
  }
  if (rowImage !== 'FULL')
    add(
      server,
      'refuse',
      `binlog_row_image is ${rowImage}.`,
      "SET GLOBAL binlog_row_image = 'FULL', also in its file.",
    );
  if (serverId === 0)
    add(server, 'refuse', 'server_id is 0.', 'Give it a server_id of its own in its file, and restart it.');
  if (gtidMode !== null && gtidMode !== 'OFF') {
    add(
      server,
      'refuse',
      `gtid_mode is ${gtidMode}: it has GTIDs, which are better.`,
      'Replicate with SOURCE_AUTO_POSITION = 1, or make it a member of a cluster.',
    );
  }
  const filters = [...logFilters, ...(replica?.filters ?? [])];
  if (filters.length > 0)
    add(
      server,
      'refuse',
      `Replication filters: ${filters.join(', ')}.`,
      'Remove them: the servers would not hold the same data.',
    );
  if (otherEngines.length > 0) {
    add(
      server,
      'refuse',
      `Tables that are not InnoDB: ${otherEngines.join(', ')}.`,
      'ALTER TABLE … ENGINE = InnoDB: others are not copied at one moment, and not safe in a crash.',
    );
  }
}

function checkTogether(primary: ServerFacts, replica: ServerFacts, purpose: 'setup' | 'switchover', add: Add): void {
  if (primary.serverId === replica.serverId && primary.serverId !== 0) {
    add(
      replica,
      'refuse',
      `server_id is ${replica.serverId} on both.`,
      'Give each its own, in its file, and restart it.',
    );
  }
  if (primary.uuid !== null && primary.uuid === replica.uuid) {
    add(
      replica,
      'refuse',
      'server_uuid is the same on both: it is one server, or a copy of its files.',
      'Remove auto.cnf from the data directory of the copy, and restart it.',
    );
  }
  if (primary.flavour !== replica.flavour) {
    add(
      replica,
      'refuse',
      `It is ${replica.flavour} and the primary is ${primary.flavour}.`,
      'Use servers of one product.',
    );
    return;
  }
  const order = compareSeries(primary.version, replica.version);
  if (order > 0)
    add(
      replica,
      'refuse',
      `Version ${replica.version} is older than the primary's ${primary.version}.`,
      'Upgrade the replica first.',
    );
  if (order < 0 && purpose === 'switchover') {
    add(
      primary,
      'refuse',
      `Version ${primary.version} is older than ${replica.version}: it could not follow it afterwards.`,
      'Upgrade it first, or leave the roles as they are.',
    );
  }
}

function checkForSetup(primary: ServerFacts, replica: ServerFacts, add: Add): void {
  if (replica.replica !== null) {
    const { sourceHost, sourcePort } = replica.replica;
    add(
      replica,
      'refuse',
      `It is a replica of ${sourceHost}:${sourcePort} already.`,
      'Look at it with: understudy offset status. Or end that with STOP and RESET REPLICA ALL.',
    );
  }
  if (replica.schemas.length > 0) {
    add(
      replica,
      'refuse',
      `It holds data already: ${replica.schemas.slice(0, 5).join(', ')}.`,
      'Use an empty server, or drop these schemas there.',
    );
  }
  if (primary.writes === 'closed')
    add(primary, 'warn', 'It is read-only.', 'If it is to be the primary: SET GLOBAL read_only = OFF.');
}

function checkForSwitchover(primary: ServerFacts, replica: ServerFacts, add: Add): void {
  const { replica: channel } = replica;
  if (channel === null) {
    add(replica, 'refuse', 'It is not a replica.', 'Set it up with: understudy offset setup');
    return;
  }
  if (channel.sourcePort !== primary.port) {
    add(
      replica,
      'refuse',
      `It is a replica of ${channel.sourceHost}:${channel.sourcePort}, not of ${primary.name}.`,
      'Name the server that it replicates from.',
    );
  }
  if (channel.usesGtids === 'yes')
    add(replica, 'refuse', 'It replicates by GTID.', 'Use the commands for clusters, or its own.');
  for (const [what, thread] of [
    ['receiver', channel.receiver],
    ['applier', channel.applier],
  ] as const) {
    if (thread.state === 'running') continue;
    const why = thread.error === null ? '' : ` (error ${thread.error.number})`;
    add(replica, 'refuse', `Its ${what} is ${thread.state}${why}.`, 'Remove the cause first: understudy offset status');
  }
  if (primary.replica !== null)
    add(primary, 'refuse', 'It is a replica itself.', 'A chain cannot be exchanged by file and offset: go to GTIDs.');
  if (primary.dumps > 1) {
    add(
      primary,
      'refuse',
      `${primary.dumps} replicas hang on it.`,
      'Their places in its log cannot be translated into the log of another server. Go to GTIDs, or disconnect the others and set them up anew afterwards.',
    );
  }
  if (primary.writes === 'closed')
    add(primary, 'refuse', 'It is read-only already.', 'Open it, or find out who closed it.');
  if (replica.writes === 'open') {
    add(
      replica,
      'refuse',
      'It takes writes: it may hold what the primary does not.',
      'SET GLOBAL read_only = ON there, and compare the data first.',
    );
  }
}

/** Order of two versions by their first two numbers, which replication goes by. */
export function compareSeries(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (const place of [0, 1]) {
    const difference = (left?.[place] ?? 0) - (right?.[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
