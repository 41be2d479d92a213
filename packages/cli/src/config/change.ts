import { monotonicMs, pause } from '@understudy/base';
import type { ClusterClient, SeenConfig } from '../client/cluster.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { diffLines, renderDiff } from '../output/diff.ts';
import { pendingRestarts } from '../render/member.ts';
import { patchBetween, type Settings, toYaml } from './document.ts';

/** What a change would do, as lines with `-` and `+`. */
export function differenceLines(context: Context, before: Settings, after: Settings): string[] {
  const lines = diffLines(toYaml(before).trimEnd().split('\n'), toYaml(after).trimEnd().split('\n'));
  return renderDiff(lines, context.style);
}

/**
 * Shows the difference between what was seen and what is wanted and, unless it is a rehearsal, writes it, provided that nobody has
 * changed anything since.
 */
export async function apply(
  context: Context,
  client: ClusterClient,
  seen: SeenConfig,
  wanted: Settings,
  how: 'write' | 'rehearse',
): Promise<ExitCode> {
  const patch = patchBetween(seen.config, wanted);
  const isChange = Object.keys(patch).length > 0;
  if (isChange && how === 'write') await client.patchConfig(patch, seen.version);
  const restarts = isChange && how === 'write' ? await restartsFor(client, namesIn(patch.parameters)) : [];
  if (context.format === 'json') {
    printJson(context, {
      result: !isChange ? 'unchanged' : how === 'write' ? 'changed' : 'would change',
      patch,
      config: wanted,
      ...(restarts.length === 0 ? {} : { pendingRestart: restarts }),
    });
    return EXIT.done;
  }
  if (!isChange) print(context, ['Nothing to change.']);
  else print(context, differenceLines(context, seen.config, wanted));
  if (isChange) note(context, how === 'write' ? 'Changed.' : 'Not changed: this was a rehearsal.');
  if (restarts.length > 0) {
    note(context, `In force after a restart of ${pendingRestarts(restarts).join(', ')}.`);
    note(context, 'All in turn: understudy restart --pending --rolling');
  }
  return EXIT.done;
}

/** Servers take parameters over about once a second, and then say what they could not. */
const takeOverMs = 2500;

interface Restart {
  readonly id: string;
  readonly pendingRestart: readonly string[];
}

/** Which members take over these parameters only when they are restarted. */
async function restartsFor(client: ClusterClient, names: readonly string[]): Promise<readonly Restart[]> {
  const endMs = monotonicMs() + takeOverMs;
  let found: readonly Restart[] = [];
  while (names.length > 0 && monotonicMs() < endMs) {
    const members = await client.lookAgain().then(
      ({ status }) => status.members.filter(({ agent }) => agent.kind === 'self' || agent.kind === 'fresh'),
      () => [],
    );
    found = members
      .map(({ id, pendingRestart }) => ({ id, pendingRestart: pendingRestart.filter((name) => names.includes(name)) }))
      .filter(({ pendingRestart }) => pendingRestart.length > 0);
    if (members.length > 0 && found.length === members.length) break;
    await pause(200);
  }
  return found;
}

function namesIn(parameters: unknown): readonly string[] {
  return typeof parameters === 'object' && parameters !== null ? Object.keys(parameters) : [];
}
