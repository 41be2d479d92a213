import {
  getServer,
  isServerName,
  listMysql,
  listPostgres,
  listServers,
  type MysqlServer,
  type OnProgress,
  progressLine,
  type ServerListing,
  serverNames,
  stays,
} from '@understudy/servers';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { liveLines } from '../output/screen.ts';
import { type Column, table } from '../output/table.ts';

/** `understudy servers list` */
export async function list(context: Context): Promise<ExitCode> {
  const [servers, postgres] = [await listServers(), await listPostgres()];
  const mysql = await listMysql({ flavour: 'mysql' });
  const mariadb = await listMysql({ flavour: 'mariadb' });
  if (context.format === 'json') {
    printJson(context, { servers, postgres, mysql, mariadb });
    return EXIT.done;
  }
  const width = context.io.out.columns();
  print(context, [
    context.style.bold('Can be fetched by name'),
    ...table(fetchColumns, servers, width),
    '',
    context.style.bold('PostgreSQL on this machine'),
    ...table(foundColumns, postgres, width),
    '',
    context.style.bold('MySQL on this machine'),
    ...foundOrNone(mysql, width),
    '',
    context.style.bold('MariaDB on this machine'),
    ...foundOrNone(mariadb, width),
  ]);
  return EXIT.done;
}

const fetchColumns: readonly Column<ServerListing>[] = [
  { title: 'NAME', dropOrder: 'never', cell: ({ name }) => name },
  { title: 'VERSION', dropOrder: 'never', cell: (each) => (each.kind === 'absent' ? '–' : each.server.version) },
  {
    title: 'WHERE',
    dropOrder: 'never',
    cell: (each) =>
      each.kind === 'absent' ? `not here (about ${each.downloadMb} MB to download)` : each.server.folder,
  },
];

const foundColumns: readonly Column<Awaited<ReturnType<typeof listPostgres>>[number]>[] = [
  { title: 'VERSION', dropOrder: 'never', cell: ({ version }) => version },
  { title: 'FROM', dropOrder: 'never', cell: ({ origin }) => origin },
  { title: 'PG_REWIND', dropOrder: 1, cell: ({ tools }) => (tools.pgRewind === null ? 'no' : 'yes') },
  { title: 'FOLDER', dropOrder: 'never', cell: ({ binDir }) => binDir },
];

function foundOrNone(servers: readonly MysqlServer[], width: number): string[] {
  return servers.length === 0 ? ['none: it is fetched when a cluster needs it'] : table(mysqlColumns, servers, width);
}

const mysqlColumns: readonly Column<MysqlServer>[] = [
  { title: 'VERSION', dropOrder: 'never', cell: ({ version }) => version },
  { title: 'FROM', dropOrder: 'never', cell: ({ origin }) => origin },
  { title: 'FOLDER', dropOrder: 'never', cell: ({ binDir }) => binDir },
];

/** `understudy servers get NAME…` */
export async function get(context: Context, args: readonly string[]): Promise<ExitCode> {
  const wrong = args.find((name) => !isServerName(name));
  if (wrong !== undefined) {
    throw new CliError('USAGE', `Nothing called "${wrong}" can be fetched.`, {
      next: `Known: ${serverNames.join(', ')}.`,
    });
  }
  const onProgress = context.format === 'json' ? () => undefined : progressOn(context);
  const fetched = [];
  for (const name of args) fetched.push(await getServer(name, { onProgress }));
  if (context.format === 'json') printJson(context, fetched);
  else
    print(
      context,
      fetched.map(({ name, version, folder }) => `${name} ${version} ${folder}`),
    );
  return EXIT.done;
}

/** One line that is drawn over on a terminal; a line for each step elsewhere. */
function progressOn(context: Context): OnProgress {
  const live = context.io.err.isTTY ? liveLines(context.io.err) : null;
  let told = '';
  return (progress) => {
    const line = progressLine(progress, live === null ? 'plain' : 'bar');
    if (live !== null && !stays(progress)) return live.show([line]);
    live?.clear();
    if (line !== told) note(context, line);
    told = line;
  };
}
