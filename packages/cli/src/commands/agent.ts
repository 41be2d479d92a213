import { resolve } from 'node:path';
import { loadNodeConfig, runAgent } from '@understudy/agent/run';
import { z } from 'zod';
import type { Context } from '../context.ts';
import { engineFactory } from '../engine/factory.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

const optionsSchema = z.object({ config: z.string(), check: z.boolean().optional() });

/** `understudy agent`: one agent in the foreground, until it is told to end. */
export async function agent(context: Context, _args: readonly string[], options: unknown): Promise<ExitCode> {
  const { config: file, check } = optionsSchema.parse(options);
  const config = await loadNodeConfig(resolve(file));
  if (check === true) return (await import('./agent-check.ts')).checkNode(context, file, config);
  const running = await runAgent(config, engineFactory, { configFile: resolve(file) });
  const end = await running.ended;
  if (end.kind === 'failed') throw end.error;
  return EXIT.done;
}
