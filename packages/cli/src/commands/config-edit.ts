import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reasonOf } from '@understudy/base';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { apply, differenceLines } from '../config/change.ts';
import { patchBetween, readSettings, type Settings, toYaml } from '../config/document.ts';
import { type Context, note, print } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { confirm } from '../questions.ts';

const optionsSchema = targetOptionsSchema.extend({ yes: z.boolean().optional() });
const attemptsMax = 20;

/** `understudy config edit`: in an editor, again and again until it is right or given up. */
export async function edit(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const seen = await client.config();
  const folder = await mkdtemp(join(tmpdir(), 'understudy-config-'));
  try {
    const wanted = await edited(context, join(folder, 'cluster.yaml'), toYaml(seen.config), options.yes === true);
    if (Object.keys(patchBetween(seen.config, wanted)).length === 0) {
      print(context, ['Nothing was changed.']);
      return EXIT.done;
    }
    if (options.yes !== true) {
      print(context, differenceLines(context, seen.config, wanted));
      if ((await confirm(context, 'Change this?', '--yes')) === 'no') {
        throw new CliError('NOT_CONFIRMED', 'Nothing was changed.');
      }
    }
    return await apply(context, client, seen, wanted, 'write');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lets the person edit the file until it is right. Without anybody to ask, the first mistake ends it. */
async function edited(context: Context, file: string, text: string, unattended: boolean): Promise<Settings> {
  await writeFile(file, text, { mode: 0o600 });
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await runEditor(context, file);
    try {
      return readSettings(await readFile(file, 'utf8'), 'cluster.yaml');
    } catch (error) {
      if (unattended || !(error instanceof CliError)) throw error;
      for (const line of error.problem.split('\n')) note(context, line);
      if ((await confirm(context, 'Edit it again?', '--yes')) === 'no') throw error;
    }
  }
  throw new CliError('NOT_CONFIRMED', `It was not right after ${attemptsMax} attempts; nothing was changed.`);
}

/** `$VISUAL`, then `$EDITOR`, then vi. It may hold arguments, as in `code --wait`, so a shell reads it, as git does. */
async function runEditor(context: Context, file: string): Promise<void> {
  const { VISUAL, EDITOR } = context.io.env;
  const next = 'Set EDITOR to the editor you want; nothing was changed.';
  const chosen = [VISUAL, EDITOR].find((each) => each !== undefined && each.trim() !== '');
  if (chosen === undefined && context.io.input.isTTY !== true) {
    throw new CliError('EDITOR_FAILED', 'There is no terminal to edit on, and no EDITOR is set.', { next });
  }
  const editor = chosen ?? 'vi';
  const end = await new Promise<string | null>((resolve) => {
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
    child.once('error', (error) => resolve(reasonOf(error)));
    child.once('exit', (code, signal) => resolve(code === 0 ? null : `it ended with ${signal ?? `exit code ${code}`}`));
  });
  if (end !== null) throw new CliError('EDITOR_FAILED', `The editor "${editor}" failed: ${end}.`, { next });
}
