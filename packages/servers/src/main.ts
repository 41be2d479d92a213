import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { visible } from '@understudy/core/visible';
import { ServersError } from './errors.ts';
import { offeredNow } from './fetch-debian.ts';
import { listMysql } from './find-mysql.ts';
import { listPostgres } from './find-postgres.ts';
import { fetchedServer, getServer, listServers, type ServerListing } from './get.ts';
import { showProgress } from './progress.ts';
import { isServerName, recipes, serverNames } from './recipes.ts';

const usage = `Usage: npm run servers -- <command> [--json]

  list            what can be fetched, what is here, and the servers found on this machine
  get NAME…       fetch servers that are missing
  where NAME      print the folder of a fetched server
  pins            print the table of tested Debian packages as the archive has them today (for src/debian-pins.ts)

Names: ${serverNames.join(', ')}
The cache folder is .cache/servers of the checkout; UNDERSTUDY_CACHE names another.
Exit codes: 0 done; 1 failed, with the cause and the next step; 2 wrong usage.
`;

/** Runs one command and returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false, short: 'h' } },
  });
  const [command, ...names] = positionals;
  if (values.help) return print(usage);
  if (command === 'list' && names.length === 0) return list(values.json);
  if (command === 'get' && names.length > 0) return get(names, values.json);
  if (command === 'pins' && names.length === 0) return printPins();
  if (command === 'where' && names.length === 1 && names[0] !== undefined) return where(names[0], values.json);
  process.stderr.write(usage);
  return 2;
}

function print(text: string): number {
  process.stdout.write(visible(text));
  return 0;
}

async function list(json: boolean): Promise<number> {
  const servers = await listServers();
  const postgres = await listPostgres();
  const mysql = await listMysql({ flavour: 'mysql' });
  const mariadb = await listMysql({ flavour: 'mariadb' });
  if (json) return print(`${JSON.stringify({ servers, postgres, mysql, mariadb }, null, 2)}\n`);
  const recipeLines = servers.map(listingLine);
  const found = [
    ...foundLines('PostgreSQL', postgres),
    ...foundLines('MySQL', mysql),
    ...foundLines('MariaDB', mariadb),
  ];
  return print(`Fetched by name:\n${recipeLines.join('\n')}\n\n${found.join('\n')}\n`);
}

function foundLines(
  title: string,
  servers: readonly { readonly version: string; readonly binDir: string; readonly origin: string }[],
): string[] {
  const lines = servers.map(({ version, binDir, origin }) => `  ${version.padEnd(10)} ${origin.padEnd(7)} ${binDir}`);
  return [`${title} on this machine:`, ...(lines.length === 0 ? ['  none'] : lines)];
}

function listingLine(listing: ServerListing): string {
  const name = listing.name.padEnd(14);
  if (listing.kind === 'absent') return `  ${name} absent (about ${listing.downloadMb} MB to download)`;
  return `  ${name} ${listing.server.version.padEnd(12)} ${listing.server.folder}`;
}

async function get(names: readonly string[], json: boolean): Promise<number> {
  const onProgress = showProgress(process.stderr);
  const servers = [];
  for (const name of names) servers.push(await getServer(name, { onProgress }));
  if (json) return print(`${JSON.stringify(servers, null, 2)}\n`);
  return print(servers.map(({ name, version, folder }) => `${name} ${version} ${folder}\n`).join(''));
}

/** For whoever has tested a new version with what the archive has today. */
async function printPins(): Promise<number> {
  const suites: Record<string, Record<string, string>> = {};
  for (const name of serverNames) {
    const recipe = recipes[name];
    if (recipe.kind !== 'debian') continue;
    const folder = await mkdtemp(join(tmpdir(), 'understudy-pins-'));
    try {
      const offered = await offeredNow(recipe, folder);
      const pinned = offered.map((each) => [each.package, `${each.version} ${each.sha256}`] as const);
      suites[recipe.suite] = { ...suites[recipe.suite], ...Object.fromEntries(pinned) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return print(`${JSON.stringify(suites, null, 2)}\n`);
}

async function where(name: string, json: boolean): Promise<number> {
  const server = isServerName(name) ? await fetchedServer(name) : null;
  if (server) return print(json ? `${JSON.stringify(server, null, 2)}\n` : `${server.folder}\n`);
  const next = isServerName(name)
    ? `Fetch it with "npm run servers -- get ${name}".`
    : `Known are: ${serverNames.join(', ')}.`;
  throw new ServersError('SERVER_NOT_FOUND', `${name} is not here.`, { next });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof ServersError) {
    process.stderr.write(visible(`${error.code}: ${error.message}\n`));
    process.exitCode = 1;
  } else if (error instanceof TypeError && 'code' in error) {
    process.stderr.write(visible(`${error.message}\n\n${usage}`));
    process.exitCode = 2;
  } else throw error;
}
