import type { KeptView } from '@understudy/agent/client';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatBytes } from '../output/text.ts';
import { confirmByTyping } from '../questions.ts';
import { renderKept } from '../render/kept.ts';

const removeSchema = targetOptionsSchema.extend({ yes: z.boolean().optional() });

/** `understudy aside list [MEMBER]` */
export async function list(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = targetOptionsSchema.parse(given);
  const [member] = args;
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  const { views, silent } = await client.kept();
  const wanted = (id: string): boolean => member === undefined || id === member;
  const shown = views.filter((view) => wanted(view.member));
  const missing = silent.filter(wanted);
  if (member !== undefined && shown.length + missing.length === 0) {
    throw new CliError('USAGE', `There is no member "${member}".`, { next: 'understudy status shows who there is.' });
  }
  if (context.format === 'json') printJson(context, { members: shown, silent: missing });
  else print(context, renderKept(shown, missing, context.style, context.io.out.columns()));
  return EXIT.done;
}

/** `understudy aside remove MEMBER NAME` */
export async function remove(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = removeSchema.parse(given);
  const [member = '', name = ''] = args;
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  const { views } = await client.kept();
  const folder = folderOf(views, member, name);
  const size = formatBytes(folder.bytes);
  const only = folder.history === 'unproven' ? ' It may be the only copy of what it holds.' : '';
  const text = `${folder.path} (${size}): ${folder.why}.${only} It is removed permanently.`;
  if (options.yes !== true) await confirmByTyping(context, text, name, '--yes');
  const left = await client.removeKept(member, name);
  if (context.format === 'json') printJson(context, { removed: folder, ...left });
  else note(context, `Removed ${folder.path} (${size}).`);
  return EXIT.done;
}

function folderOf(views: readonly KeptView[], member: string, name: string): KeptView['folders'][number] {
  const view = views.find((one) => one.member === member);
  if (view === undefined) {
    throw new CliError('USAGE', `The agent of ${member} does not answer, or there is no such member.`, {
      next: 'understudy aside list',
    });
  }
  const folder = view.folders.find((one) => one.name === name);
  if (folder !== undefined) return folder;
  throw new CliError('USAGE', `${member} keeps nothing of the name ${name}.`, {
    next: `understudy aside list ${member}`,
  });
}
