import { randomBytes } from 'node:crypto';
import { afterStep, formatTokens, loadTokens, type Token } from '@understudy/agent/client';
import { isThere, removeFile, replaceFile } from '@understudy/engine/host';
import type { ClusterClient } from '../client/cluster.ts';
import { type Context, note, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/**
 * Gives the token that this command sends a successor: every agent accepts it beside the old one before anybody uses it, and drops the
 * old one when this command's own file has the new one. The new one is kept in a file beside that one meanwhile, so that a run that was
 * killed is taken up by the next.
 */
export async function rotateToken(context: Context, client: ClusterClient): Promise<ExitCode> {
  const file = client.target.tokenFile ?? null;
  if (file === null) {
    const next = 'Name it by --token-file FILE; a token in the environment cannot be replaced there.';
    throw new CliError('USAGE', 'The token to change is in no file.', { next });
  }
  const urls = await agentsOf(client);
  const own = strongest(await loadTokens(file));
  const draft = `${file}.next`;
  const secret = await nextSecret(draft);
  // Not one by one: with the first agent that drops the old token, the new one has to be accepted by all.
  for (const url of urls) await client.stepToken(url, { step: 'accept', name: own.name, secret });
  await replaceOwn(file, own.name, secret);
  for (const step of ['use', 'drop'] as const) {
    for (const url of urls) await client.stepToken(url, { step, name: own.name });
  }
  await removeFile(draft);
  if (context.format === 'json')
    printJson(context, { secret: 'token', name: own.name, role: own.role, agents: urls.length });
  else
    note(
      context,
      `The token "${own.name}" (${own.role}) was replaced on ${urls.length} agents and in ${file}. The old one is refused.`,
    );
  return EXIT.done;
}

/** All members have to answer: one that does not would know the old token alone. */
async function agentsOf(client: ClusterClient): Promise<readonly string[]> {
  const { status } = await client.look();
  const asked = await Promise.all(
    status.members.map(async ({ id, apiUrl }) => ({
      id,
      url: apiUrl === null || (await client.secrets(apiUrl).catch(() => null)) === null ? null : apiUrl,
    })),
  );
  const silent = asked.filter(({ url }) => url === null).map(({ id }) => id);
  if (silent.length === 0) return asked.flatMap(({ url }) => url ?? []);
  const text = `The agent of ${silent.join(', ')} does not answer: it would know the old token alone. Nothing was changed.`;
  throw new CliError('UNREACHABLE', text, { next: 'Run this again when it does.', retry: 'safe' });
}

function strongest(tokens: readonly Token[]): Token {
  const order = ['admin', 'operate', 'view'] as const;
  const found = order.flatMap((role) => tokens.filter((token) => token.role === role))[0];
  if (found === undefined) throw new CliError('INTERNAL', 'A file of tokens holds none.');
  // In the middle of a change the one without an ending comes first.
  return found;
}

async function nextSecret(draft: string): Promise<string> {
  if (await isThere(draft)) {
    const [kept] = await loadTokens(draft);
    if (kept !== undefined) return kept.secret;
  }
  const secret = randomBytes(24).toString('base64url');
  await replaceFile(draft, `${secret}\n`, null);
  return secret;
}

/** The file may be one of the agents' own, where they have put the new one already. */
async function replaceOwn(file: string, name: string, secret: string): Promise<void> {
  const before = await loadTokens(file);
  if (before.some((token) => token.secret === secret)) return;
  const accepted = afterStep(before, { step: 'accept', name, secret }) ?? before;
  const used = afterStep(accepted, { step: 'use', name }) ?? accepted;
  await replaceFile(file, formatTokens(afterStep(used, { step: 'drop', name }) ?? used), null);
}
