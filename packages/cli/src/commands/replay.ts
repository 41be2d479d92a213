import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OLD_RING_FILE, type ReplayedDecision, RING_FILE, replay as replayFile } from '@understudy/agent/client';
import { z } from 'zod';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatInstant, hanging, plural } from '../output/text.ts';

const optionsSchema = z.object({ last: z.number().optional() });
const keptMax = 100_000;

/** `understudy replay FILE` */
export async function replay(context: Context, args: readonly string[], given: unknown): Promise<ExitCode> {
  const { last } = optionsSchema.parse(given);
  const decisions: ReplayedDecision[] = [];
  let all = 0;
  for (const file of await ringFiles(args[0] ?? '')) {
    await replayFile(file, (decision) => {
      all += 1;
      decisions.push(decision);
      if (decisions.length > (last ?? keptMax)) decisions.shift();
    });
  }
  const differing = decisions.filter(({ verdict }) => verdict === 'differs');
  if (context.format === 'json') printJson(context, decisions.map(jsonOf));
  else {
    print(
      context,
      decisions.flatMap((decision) => decisionLines(context, decision)),
    );
    note(
      context,
      `${plural(all, 'decision')}; of the ${decisions.length} shown, ${differing.length} would be taken otherwise by this version.`,
    );
  }
  if (differing.length === 0) return EXIT.done;
  const text = `${plural(differing.length, 'decision')} would be taken otherwise by this version.`;
  throw new CliError('REQUEST_FAILED', text, { next: 'Compare "does" with "would do" above.' });
}

/** A run folder holds two files, the older one first. */
async function ringFiles(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) return [path];
  const files = [join(path, OLD_RING_FILE), join(path, RING_FILE)];
  const there = await Promise.all(files.map((file) => stat(file).catch(() => null)));
  const present = files.filter((_, index) => there[index] !== null);
  if (present.length > 0) return present;
  const next = "Name the folder that the node's configuration calls runDir.";
  throw new CliError('FILE_UNREADABLE', `${path} holds no recorded decisions.`, { next });
}

type Made = ReplayedDecision['recorded'];

function commandsOf({ commands }: Made): string {
  const words = commands.map((command) => (command.kind === 'commit' ? `commit: ${command.purpose}` : command.kind));
  return words.length === 0 ? 'nothing' : words.join(', then ');
}

function decisionLines(
  context: Context,
  { line, wallMs, observation, recorded, again, verdict }: ReplayedDecision,
): string[] {
  const { style, io } = context;
  const reason = recorded.reasons[0];
  const row = (label: string, text: string): string[] =>
    hanging(`    ${style.dim(label.padEnd(10))}`, text, io.out.columns());
  return [
    `${style.bold(`${line}`)}  ${formatInstant(wallMs)}  ${observation.self}  ${observation.engine.kind}`,
    ...row('reason', reason === undefined ? '–' : `${reason.code}: ${reason.text}`),
    ...row('does', commandsOf(recorded)),
    ...(verdict === 'differs'
      ? row(
          style.red('would do'),
          `${commandsOf(again)} (${again.reasons[0]?.code ?? 'no reason'}: ${again.reasons[0]?.text ?? ''})`,
        )
      : []),
  ];
}

function jsonOf({ line, wallMs, observation, recorded, again, verdict }: ReplayedDecision): object {
  const made = (decision: Made): object => ({ commands: commandsOf(decision), reasons: decision.reasons });
  return {
    line,
    wallMs,
    member: observation.self,
    engine: observation.engine.kind,
    verdict,
    recorded: made(recorded),
    again: made(again),
  };
}
