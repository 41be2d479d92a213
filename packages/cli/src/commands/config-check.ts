import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseNodeConfig } from '@understudy/agent/client';
import { reasonOf } from '@understudy/base';
import { parseDocument } from 'yaml';
import { readSettings } from '../config/document.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** `understudy config check FILE`: the cluster's configuration, or a node's. */
export async function check(context: Context, args: readonly string[], _options: unknown): Promise<ExitCode> {
  const [file = ''] = args;
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CliError('FILE_UNREADABLE', `${file}: cannot be read: ${reasonOf(error)}.`, {
      next: 'Correct the path.',
      cause: error,
    });
  });
  const kind = kindOf(text);
  if (kind === 'node') parseNodeConfig(text, resolve(file));
  else readSettings(text, file);
  if (context.format === 'json') printJson(context, { file, kind, result: 'good' });
  else
    print(context, [
      `${file} is right: ${kind === 'node' ? 'the configuration of a node' : 'the configuration of a cluster'}.`,
    ]);
  return EXIT.done;
}

/** A node's file is known by keys that the cluster's configuration does not have. */
function kindOf(text: string): 'node' | 'cluster' {
  const document = parseDocument(text, { prettyErrors: false });
  const keys = ['member', 'store', 'secretsFile', 'runDir', 'engine'];
  return document.errors.length === 0 && keys.some((key) => document.has(key)) ? 'node' : 'cluster';
}
