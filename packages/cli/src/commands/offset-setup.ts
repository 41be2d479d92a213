import { offsetSetup } from '@understudy/pair';
import { findMysql } from '@understudy/servers';
import { z } from 'zod';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { liveLines } from '../output/screen.ts';
import { formatBytes, plural } from '../output/text.ts';
import { accountOf, offsetOptionsSchema, withServers } from './offset-servers.ts';

const optionsSchema = offsetOptionsSchema.extend({ account: z.string(), binDir: z.string().optional() });

/** `understudy offset setup` */
export async function setup(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { account, binDir, ...servers } = optionsSchema.parse(given);
  const login = accountOf(account);
  const live = context.io.err.isTTY && context.format === 'text' ? liveLines(context.io.err) : null;
  const result = await withServers(context, servers, async (both) => {
    const { flavour, version } = both.primary;
    const series = version.split('.').slice(0, 2).join('.');
    const wanted = binDir === undefined ? { version: series } : { binDir };
    // A newer dump program reads an older server; the other way round is not sure.
    const { tools } = await findMysql({ flavour, ...wanted }).catch(() => findMysql({ flavour }));
    const { dump, client } = tools;
    if (dump === null || client === null) {
      const next = 'Install the client programs of that server, or name their folder with --bin-dir.';
      throw new CliError('USAGE', 'The programs that copy a database (dump and client) are not installed.', { next });
    }
    const tell = (text: string): void => {
      live?.clear();
      note(context, `… ${text}`);
    };
    return offsetSetup(both, login, { dump, client }, tell, (count) => live?.show([`  ${formatBytes(count)} copied`]));
  }).finally(() => live?.clear());
  if (context.format === 'json') printJson(context, result);
  else {
    const { replica, primary, from, schemas, accounts, keptAccounts } = result;
    const kept = keptAccounts.length === 0 ? [] : [`Left as they are on the replica: ${keptAccounts.join(', ')}.`];
    print(context, [
      `${context.style.green('done')}  ${replica} follows ${primary} from ${from}: ${plural(schemas.length, 'schema')}, ${plural(accounts.length, 'account')}.`,
      ...kept,
      'Write read_only (MySQL: super_read_only) into the file of the replica, so that a restart does not open it.',
    ]);
  }
  return EXIT.done;
}
