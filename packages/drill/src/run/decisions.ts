import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs } from '@understudy/base';
import type { LocalCluster } from '@understudy/local';
import { z } from 'zod';
import type { DecisionEvent } from '../check/phases.ts';

const files = ['decisions.1.ndjson', 'decisions.ndjson'];

const entrySchema = z.object({
  observation: z.object({ wallMs: z.number() }),
  decision: z.object({
    reasons: z.array(z.object({ code: z.string() })).min(1),
    suspects: z.number().nullable(),
    commands: z.array(z.object({ kind: z.string(), purpose: z.string().optional() })),
  }),
});

/**
 * What the agents of a cluster decided since an instant, from their rings. Agents share this machine's wall clock, so their times can
 * be turned into the drill's; a ring that cannot be read leaves its node out.
 */
export async function decisionsSince(cluster: LocalCluster, sinceMs: number): Promise<readonly DecisionEvent[]> {
  const lists = await Promise.all(
    cluster.nodes.map(async (node) => {
      const texts = await Promise.all(
        files.map((file) => readFile(join(node.paths.runDir, file), 'utf8').catch(() => '')),
      );
      return texts.flatMap((text) => eventsIn(node.name, text)).filter((event) => event.atMs >= sinceMs);
    }),
  );
  return lists.flat();
}

/** Wall-clock time of this machine (agents' logs) as an instant of the monotonic clock, as the two stand now. */
const fromWallMs = (wallMs: number): number => wallMs - Date.now() + monotonicMs();

function eventsIn(node: string, text: string): DecisionEvent[] {
  return text.split('\n').flatMap((line): DecisionEvent[] => {
    const entry = entrySchema.safeParse(parseJson(line));
    if (!entry.success) return [];
    const { observation, decision } = entry.data;
    const kinds = decision.commands.map(({ kind }) => kind);
    return [
      {
        node,
        atMs: fromWallMs(observation.wallMs),
        code: decision.reasons[0]?.code ?? '',
        suspects: decision.suspects !== null,
        takesLead: kinds.includes('commit') && kinds.includes('promote'),
      },
    ];
  });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
