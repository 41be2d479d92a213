import type { ClusterClient, SeenConfig } from '../client/cluster.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { diffLines, renderDiff } from '../output/diff.ts';
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
  if (context.format === 'json') {
    printJson(context, {
      result: !isChange ? 'unchanged' : how === 'write' ? 'changed' : 'would change',
      patch,
      config: wanted,
    });
    return EXIT.done;
  }
  if (!isChange) print(context, ['Nothing to change.']);
  else print(context, differenceLines(context, seen.config, wanted));
  if (isChange) note(context, how === 'write' ? 'Changed.' : 'Not changed: this was a rehearsal.');
  return EXIT.done;
}
