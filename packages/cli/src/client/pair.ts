import type { PairDescription } from '@understudy/pair';
import { CliError } from '../errors.ts';
import type { Io } from '../output/io.ts';
import { localChoice, type TargetOptions } from './target.ts';

/**
 * The circular pair that a command is about, if it is about one: the options name a folder (or nothing), and a pair is kept there.
 *
 * @returns null when the command is about a cluster.
 */
export async function pairHere(options: TargetOptions, env: Io['env']): Promise<PairDescription | null> {
  if ((options.api ?? []).length > 0 || options.config !== undefined) return null;
  const isNamed = options.dataDir !== undefined || options.cluster !== undefined;
  if (!isNamed && ((env.UNDERSTUDY_API ?? '') !== '' || (env.UNDERSTUDY_CONFIG ?? '') !== '')) return null;
  const { describePair } = await import('@understudy/pair');
  return describePair(await localChoice(options));
}

/** The same for commands that are about nothing else. @throws CliError `NO_CLUSTER` */
export async function requirePair(options: Pick<TargetOptions, 'dataDir' | 'cluster'>): Promise<PairDescription> {
  const choice = await localChoice(options);
  const { describePair } = await import('@understudy/pair');
  const found = await describePair(choice);
  if (found !== null) return found;
  const where = choice.folder ?? `.understudy/${choice.name ?? 'default'}`;
  const next = 'Start one with: understudy up --engine mysql --topology circular';
  throw new CliError('NO_CLUSTER', `There is no circular pair in ${where}.`, { next });
}
