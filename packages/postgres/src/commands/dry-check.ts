import { monotonicMs } from '@understudy/base';
import type { ParameterProblem } from '@understudy/engine';
import { type DryStart, dryStart } from '../config/dry-start.ts';
import { readAutoConf } from '../config/managed.ts';
import { inspectDisk } from '../disk/inspect.ts';
import type { Instance } from '../instance.ts';

/** More new parameters than these are looked at together only. */
const singlyMax = 8;
/** For all looks at single ones: whoever asks waits for the answer, and that they do not start together is known by then. */
const singlyMs = 4000;
/** After a failed start nobody waits so. */
const blameMs = 60_000;

/**
 * Parameters with which this member's server would not start, though each is well-formed: a library that is not there, more memory than the
 * host has, values that exclude each other. What would keep it from starting already is not held against new ones.
 */
export async function startProblems(
  instance: Instance,
  more: Readonly<Record<string, string>>,
): Promise<readonly ParameterProblem[]> {
  if (!(await hasData(instance)) || Object.keys(more).length === 0) return [];
  const together = await tryWith(instance, more);
  if (together === null || (await tryWith(instance, {})) !== null) return [];
  const names = Object.keys(more);
  const found: ParameterProblem[] = [];
  const endMs = monotonicMs() + singlyMs;
  for (const name of names.slice(0, singlyMax)) {
    if (monotonicMs() >= endMs) break;
    const alone =
      names.length === 1
        ? together
        : await tryWith(instance, { [name]: more[name] ?? '' }, { endMs }).catch(() => null);
    if (alone !== null) found.push({ name, problem: text(alone) });
  }
  return found.length > 0 ? found : [{ name: names.join(', '), problem: text(together) }];
}

const text = (why: string): string => `has a value with which the server would not start: ${why}.`;

function tryWith(instance: Instance, more: Readonly<Record<string, string>>, change: Partial<DryStart> = {}) {
  const { options, owner, config } = instance;
  const wanted = {
    parameters: config.merged(more),
    fixed: config.startArguments(),
    alterSystem: 'with',
    endMs: Number.POSITIVE_INFINITY,
    ...change,
  } as const;
  return dryStart(options, owner, wanted);
}

async function hasData({ options, expected }: Instance): Promise<boolean> {
  return (await inspectDisk(options.dataDir, expected)).kind === 'usable';
}

/** Whether the server would start with what its include will say: asked before one that runs is stopped. */
export async function wouldStart(instance: Instance): Promise<string | null> {
  return (await hasData(instance)) ? tryWith(instance, {}) : null;
}

/**
 * Looks for the settings that kept the server from starting. Those of the cluster are left out from now on; one of ALTER SYSTEM is the
 * operator's, and named.
 *
 * @returns a sentence about it; null when the settings are not to blame.
 */
export async function blameSettings(instance: Instance): Promise<string | null> {
  const why = await wouldStart(instance);
  if (why === null) return null;
  const { config, options } = instance;
  const endMs = monotonicMs() + blameMs;
  for (const [name, value] of Object.entries(config.taken())) {
    const others = Object.fromEntries(Object.entries(config.merged()).filter(([other]) => other !== name));
    if ((await tryWith(instance, {}, { parameters: others, endMs })) !== null) continue;
    config.leaveOut(name, value, why);
    return `The parameter ${name} of the cluster keeps the server from starting (${why}); it is left out.`;
  }
  if ((await tryWith(instance, {}, { alterSystem: 'without', endMs })) !== null) return null;
  const set = await readAutoConf(options.dataDir);
  const named = set.find(({ value }) => value !== '' && why.includes(value)) ?? set.at(-1);
  const where = named === undefined ? '' : `:${named.line} (${named.name} = '${named.value}')`;
  return `What ALTER SYSTEM has set keeps the server from starting: ${why}. Correct ${options.dataDir}/postgresql.auto.conf${where}.`;
}
