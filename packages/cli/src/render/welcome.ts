import { connectionString } from '../connection-string.ts';
import { engineFacts } from '../engine/facts.ts';
import type { Style } from '../output/style.ts';
import { type Column, table } from '../output/table.ts';
import { padEnd } from '../output/text.ts';

export interface WelcomeNode {
  readonly name: string;
  readonly host: string;
  readonly dbPort: number;
  readonly apiUrl: string;
  readonly serverPid: number | null;
}

/** What a person needs to know about a cluster that has just started. */
export interface Welcome {
  readonly name: string;
  /** As its agents call it. */
  readonly engine: string;
  readonly version: string;
  readonly durability: 'sync' | 'async';
  readonly store: 'local' | 'etcd';
  readonly leader: string;
  readonly folder: string;
  readonly secretsFile: string;
  readonly user: string;
  readonly database: string;
  /** The authority of the agents' and servers' certificates; null: nothing is encrypted. */
  readonly caFile: string | null;
  /** How the command is typed here, and the options that choose this cluster. */
  readonly command: string;
  readonly choice: string;
  readonly nodes: readonly WelcomeNode[];
}

export function renderWelcome(welcome: Welcome, style: Style, width: number): string[] {
  const { name, nodes, durability, store, folder } = welcome;
  const server = `${engineFacts(welcome.engine).title} ${welcome.version}`;
  const count = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`;
  return [
    `${style.green('●')} ${style.bold(`Cluster ${name} is up`)}: ${server}, ${count}, ${durability}, ${store} store`,
    style.dim(`  kept in ${folder}`),
    '',
    ...nodeTable(welcome, style, width),
    '',
    `${style.bold('Connect')}  ${urlOf(welcome)}`,
    `         The password is in ${welcome.secretsFile} (superuser); with it in the address:`,
    `         ${style.cyan(typed(welcome, 'url --with-password'))}`,
    '',
    style.bold('Try, in another terminal'),
    ...tries(welcome).map(([command, meaning]) => `  ${style.cyan(padEnd(command, tryWidth(welcome)))}  ${meaning}`),
    '',
    `${style.bold('Ctrl-C')} stops all of it; the data is kept for the next time. What the cluster decides, from here on:`,
  ];
}

/** The same for programs. */
export function welcomeJson(welcome: Welcome): object {
  const { command: _command, choice: _choice, ...facts } = welcome;
  return { ...facts, url: urlOf(welcome) };
}

function nodeTable({ nodes, leader, engine }: Welcome, style: Style, width: number): string[] {
  const columns: readonly Column<WelcomeNode>[] = [
    { title: '  NODE', dropOrder: 'never', cell: ({ name }) => `  ${name}` },
    {
      title: 'ROLE',
      dropOrder: 'never',
      cell: ({ name }) => (name === leader ? style.green('primary') : 'replica'),
    },
    {
      title: engineFacts(engine).title.toUpperCase(),
      dropOrder: 'never',
      cell: ({ host, dbPort }) => `${host}:${dbPort}`,
    },
    {
      title: 'PID',
      align: 'right',
      dropOrder: 2,
      cell: ({ serverPid }) => (serverPid === null ? '–' : String(serverPid)),
    },
    { title: 'HTTP API', dropOrder: 1, cell: ({ apiUrl }) => apiUrl },
  ];
  const [title = '', ...lines] = table(columns, nodes, width);
  return [style.dim(title), ...lines];
}

function urlOf({ engine, nodes, leader, user, database, caFile }: Welcome): string {
  const isLeader = ({ name }: WelcomeNode): number => Number(name === leader);
  // PostgreSQL's clients find the primary themselves; its string stays the same whoever leads.
  const ordered = engine === 'postgres' ? nodes : nodes.toSorted((a, b) => isLeader(b) - isLeader(a));
  return connectionString(engine, {
    hosts: ordered.map(({ host, dbPort }) => ({ host, port: dbPort })),
    user,
    database,
    target: 'read-write',
    caFile,
  });
}

function typed({ command, choice }: Welcome, rest: string): string {
  return `${command} ${rest}${choice === '' ? '' : ` ${choice}`}`;
}

function tries(welcome: Welcome): readonly (readonly [command: string, meaning: string])[] {
  const leader = welcome.nodes.find(({ name }) => name === welcome.leader);
  const other = welcome.nodes.find(({ name }) => name !== welcome.leader);
  return [
    [typed(welcome, 'status --watch'), 'see what happens, live'],
    [typed(welcome, 'probe'), 'write all the time: says how long each interruption was, and that nothing is missing'],
    [typed(welcome, 'sql "select version()"'), 'SQL on the current primary'],
    ...(leader?.serverPid == null || other === undefined
      ? []
      : ([
          [`kill -9 ${leader.serverPid}`, `kill the primary's server (${leader.name}): a replica takes over`],
        ] as const)),
    ...(other === undefined
      ? []
      : ([[typed(welcome, `switchover --to ${other.name}`), 'move the primary on purpose']] as const)),
    [typed(welcome, 'explain'), 'why each node does what it does'],
    [typed(welcome, 'history'), 'every change of leader'],
  ];
}

function tryWidth(welcome: Welcome): number {
  return Math.max(...tries(welcome).map(([command]) => command.length));
}
