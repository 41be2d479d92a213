import type { ExplainView, MemberView, Outlook, StatusView } from '@understudy/agent/client';
import { problemOf } from '@understudy/base';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type Explained, renderExplain, waitingWrites } from '../render/explain.ts';

/** `understudy explain [member]` */
export async function explain(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = targetOptionsSchema.parse(given);
  const client = new ClusterClient(await findTarget(options, context.io.env));
  const { status, url } = await client.look();
  const members = chosen(status, args[0]);
  const explained = await Promise.all(members.map((member) => ask(client, member, status.answeredBy, url)));
  const outlook = outlookOf(explained, status);
  if (context.format === 'json') printJson(context, { members: explained.map(jsonOf), outlook });
  else {
    const render = { style: context.style, width: context.io.out.columns() };
    print(context, [...renderExplain(explained, outlook, render), ...waitingWrites(status, render)]);
  }
  return EXIT.done;
}

/** All see the same cluster; the leader sees its replicas best, then the one that answered first. */
function outlookOf(explained: readonly Explained[], status: StatusView): Outlook | null {
  const views = explained.flatMap((each) => (each.kind === 'answered' ? [each.view] : []));
  const rank = (view: ExplainView): number =>
    Number(view.member === status.answeredBy) + 2 * Number(view.member === status.leader);
  return views.toSorted((a, b) => rank(b) - rank(a))[0]?.outlook ?? null;
}

function chosen(status: StatusView, name: string | undefined): readonly MemberView[] {
  if (name === undefined) return status.members;
  const member = status.members.find(({ id }) => id === name);
  if (member !== undefined) return [member];
  const known = status.members.map(({ id }) => id).join(', ');
  throw new CliError('USAGE', `There is no member "${name}" in cluster ${status.cluster}.`, {
    next: `Its members: ${known}.`,
  });
}

async function ask(client: ClusterClient, member: MemberView, answeredBy: string, url: string): Promise<Explained> {
  const address = member.id === answeredBy ? url : member.apiUrl;
  if (address === null) return { kind: 'silent', member: member.id, why: 'the address of its agent is not known' };
  try {
    return { kind: 'answered', view: await client.explain(address.replace(/\/$/, '')) };
  } catch (error) {
    return { kind: 'silent', member: member.id, why: problemOf(error) };
  }
}

function jsonOf(explained: Explained): object {
  return explained.kind === 'answered' ? explained.view : { member: explained.member, error: explained.why };
}
