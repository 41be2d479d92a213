import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type Address,
  type MemberView,
  memberNameSchema,
  parseAddress,
  parseNodeConfig,
} from '@understudy/agent/client';
import { codeOf, reasonOf } from '@understudy/base';
import { z } from 'zod';
import { ClusterClient } from '../client/cluster.ts';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { type NewNode, newNodeFile } from '../members/new-node.ts';
import { table } from '../output/table.ts';
import { confirm } from '../questions.ts';
import { addressText, stateText } from '../render/member.ts';

/** `understudy member list` */
export async function list(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const target = await findTarget(targetOptionsSchema.parse(given), context.io.env);
  const { status } = await new ClusterClient(target, context.interruption()).look();
  if (context.format === 'json') {
    printJson(
      context,
      status.members.map(({ id, role, state, session, apiUrl, host, port, tags }) => ({
        id,
        role,
        state,
        session,
        apiUrl,
        host,
        port,
        tags,
      })),
    );
    return EXIT.done;
  }
  const columns = [
    { title: 'MEMBER', dropOrder: 'never', cell: ({ id }: MemberView) => id },
    { title: 'ROLE', dropOrder: 'never', cell: ({ role }: MemberView) => role },
    { title: 'STATE', dropOrder: 'never', cell: stateText },
    { title: 'SESSION', dropOrder: 3, cell: ({ session }: MemberView) => session },
    { title: 'SERVER', dropOrder: 1, cell: addressText },
    { title: 'AGENT', dropOrder: 2, cell: ({ apiUrl }: MemberView) => apiUrl ?? '–' },
  ] as const;
  print(context, table(columns, status.members, context.io.out.columns()));
  return EXIT.done;
}

const forgetSchema = targetOptionsSchema.extend({ yes: z.boolean().optional() });

/** `understudy member forget MEMBER` */
export async function forget(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = forgetSchema.parse(given);
  const [member = ''] = args;
  const client = new ClusterClient(await findTarget(options, context.io.env), context.interruption());
  const { status } = await client.look();
  const known = status.members.find(({ id }) => id === member);
  if (known === undefined) {
    const names = status.members.map(({ id }) => id).join(', ');
    throw new CliError('REFUSED', `"${member}" is not a member of ${status.cluster}.`, {
      next: `Members are: ${names}.`,
    });
  }
  // On a terminal a person is asked; a script has decided already.
  if (options.yes !== true && context.io.input.isTTY === true && context.format === 'text') {
    const question = `Forget ${member} (${addressText(known)})? Its data stays where it is; the leader keeps no more log for it.`;
    if ((await confirm(context, question, '--yes')) === 'no') {
      throw new CliError('NOT_CONFIRMED', 'Nothing was changed.');
    }
  }
  await client.post('DELETE', `/understudy/members/${encodeURIComponent(member)}`);
  if (context.format === 'json') printJson(context, { forgotten: member });
  else print(context, [`${member} is not a member any more.`]);
  note(
    context,
    'If its host was a member of etcd, remove it there too: docs/members.md. It comes back when its agent is started.',
  );
  return EXIT.done;
}

const addSchema = z.object({
  like: z.string(),
  out: z.string(),
  agent: z.string(),
  server: z.string(),
  serverId: z.number().optional(),
  zone: z.string().optional(),
  offline: z.boolean().optional(),
});

/** `understudy member add MEMBER`: writes the new member's file from a present member's, and says what is left to do. */
export async function add(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const { like, out, agent, server, ...options } = addSchema.parse(given);
  const name = memberNameSchema.safeParse(args[0]);
  if (!name.success) throw new CliError('USAGE', `"${args[0]}" is no name: ${name.error.issues[0]?.message}.`);
  const text = await readFile(like, 'utf8').catch((error: unknown) => {
    throw new CliError('FILE_UNREADABLE', `${like}: cannot be read: ${reasonOf(error)}.`, {
      next: 'Correct --like.',
      cause: error,
    });
  });
  const present = parseNodeConfig(text, resolve(like));
  const others = options.offline === true ? null : await membersOf(context, like);
  refuseTaken(name.data, others, present.member);
  const node: NewNode = {
    member: name.data,
    api: address(agent, '--agent'),
    listen: address(server, '--server'),
    serverId: present.engine.kind === 'postgres' ? null : (options.serverId ?? needed()),
    zone: options.zone ?? null,
  };
  const made = newNodeFile(text, present.member, node);
  parseNodeConfig(made, resolve(out));
  await writeNew(out, made);
  if (context.format === 'json') printJson(context, { member: node.member, file: out, engine: present.engine.kind });
  else
    print(context, [
      `${out}  made: ${node.member} of ${present.cluster}, like ${present.member}`,
      ...stepsFor(node, present),
    ]);
  return EXIT.done;
}

async function membersOf(context: Context, like: string): Promise<readonly MemberView[]> {
  const target = await findTarget({ config: like }, context.io.env);
  const { status } = await new ClusterClient(target, context.interruption()).look();
  return status.members;
}

/** Two members of one name would be taken for one; PostgreSQL compares names without regard to case. */
function refuseTaken(name: string, members: readonly MemberView[] | null, present: string): void {
  const names = [...(members ?? []).map(({ id }) => id), present];
  const taken = names.find((each) => each.toLowerCase() === name.toLowerCase());
  if (taken === undefined) return;
  const next =
    'Choose another name. A host that replaces a lost one keeps the name: copy its file instead (docs/members.md).';
  throw new CliError('REFUSED', `The cluster has a member "${taken}" already.`, { next });
}

function address(text: string, option: string): Address {
  const found = parseAddress(text);
  if (found !== null && found.port > 0) return found;
  throw new CliError('USAGE', `${option} ${text} is not an address with a port.`, {
    next: 'Write HOST:PORT, e.g. 10.0.0.4:8008.',
  });
}

function needed(): never {
  const text = 'MySQL and MariaDB need a number for the server that no other member has.';
  throw new CliError('USAGE', text, { next: 'Name one: --server-id 4' });
}

/** Never over a file that is there: it may be another host's. */
async function writeNew(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
    const why = codeOf(error) === 'EEXIST' ? 'is there already' : `cannot be written: ${reasonOf(error)}`;
    throw new CliError('FILE_UNREADABLE', `${file}: ${why}.`, { next: 'Name another file with --out.', cause: error });
  });
}

function stepsFor(node: NewNode, present: ReturnType<typeof parseNodeConfig>): readonly string[] {
  const { host } = node.api;
  const certificate =
    present.api.tls === undefined && present.engine.tls === undefined
      ? []
      : [
          'Where the authority is, make its certificate:',
          `    understudy cert node --ca ca --name ${node.member} --host ${node.member} --ip ${host} --localhost --out ${node.member}`,
        ];
  return [
    '',
    ...certificate,
    `Then on ${host}: copy this file, the certificates, secrets and token there (docs/members.md), and look whether all is right:`,
    '    understudy agent --config /etc/understudy/node.yaml --check',
    'Start its agent. It copies the data by itself: understudy status --watch',
    'Name the new server in HAProxy and connection strings as well. The store needs no further member.',
  ];
}
