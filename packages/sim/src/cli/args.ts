import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from '../faults/fault.ts';
import type { FaultCourse } from '../faults/swarm.ts';
import { FLAVOURS, type Flavour } from '../server/flavour.ts';

/** What `npm run sim -- …` was asked to do. */
export interface SimOptions {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly flavour: Flavour | null;
  readonly nodes: number | null;
  readonly durability: 'sync' | 'async' | null;
  readonly faults: readonly FaultKind[] | null;
  readonly course: FaultCourse | null;
  /** Simulated time in which faults strike, per seed. */
  readonly durationMs: number;
  readonly jobs: number;
  readonly mutant: string | null;
  readonly json: 'yes' | 'no';
  readonly trace: 'yes' | 'no';
  readonly shrink: 'yes' | 'no';
  /** Ends the search at the first violation. */
  readonly stopAtFirst: 'yes' | 'no';
  /** A scenario file to run instead of seeds. */
  readonly replay: string | null;
}

export type Parsed =
  | { readonly kind: 'run'; readonly options: SimOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'mutants' }
  | { readonly kind: 'golden'; readonly mode: 'compare' | 'update' }
  | { readonly kind: 'wrong'; readonly message: string };

export const HELP = `Simulates whole clusters with faults in virtual time, and checks every promise after every event.

  npm run sim -- [--seeds N] [--seed S] …

  --seeds N       how many seeds to run (100)
  --seed S        the first seed (1); without --seeds, only this one
  --nodes N       2 to 9 data nodes; otherwise drawn from the seed
  --flavour F     postgres, mysql or mariadb; otherwise drawn from the seed
  --durability D  sync or async; otherwise drawn from the seed
  --faults A,B,…  only these kinds; otherwise drawn from the seed
  --duration S    simulated seconds in which faults strike, per seed (300)
  --jobs N        how many processors to use (all)
  --mutant NAME   run a deliberately wrong variant; --mutants lists them
  --stop          end at the first violation
  --no-shrink     do not look for the smallest scenario of a violation
  --replay FILE   run a scenario from tests/regressions/
  --golden        compare the transcripts in tests/golden/; with --update, write them anew
  --trace         print everything that happens
  --json          print the report as JSON
`;

/** Reads the command line. Nothing is guessed: what is not understood is named. */
export function parseOptions(args: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowPositionals: false,
      options: {
        seeds: { type: 'string' },
        seed: { type: 'string' },
        nodes: { type: 'string' },
        flavour: { type: 'string' },
        durability: { type: 'string' },
        faults: { type: 'string' },
        duration: { type: 'string' },
        jobs: { type: 'string' },
        mutant: { type: 'string' },
        mutants: { type: 'boolean' },
        stop: { type: 'boolean' },
        'no-shrink': { type: 'boolean' },
        replay: { type: 'string' },
        golden: { type: 'boolean' },
        update: { type: 'boolean' },
        trace: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return { kind: 'help' };
    if (values.mutants === true) return { kind: 'mutants' };
    if (values.golden === true) return { kind: 'golden', mode: values.update === true ? 'update' : 'compare' };
    if (values.update === true) throw new Error('--update goes with --golden.');
    const firstSeed = whole('seed', values.seed, 1, 0, 2 ** 52);
    const seeds = whole('seeds', values.seeds, values.seed === undefined ? 100 : 1, 1, 10_000_000);
    return {
      kind: 'run',
      options: {
        firstSeed,
        seeds,
        nodes: values.nodes === undefined ? null : whole('nodes', values.nodes, 3, 2, 9),
        flavour: flavourOf(values.flavour),
        durability: durabilityOf(values.durability),
        faults: faultsOf(values.faults),
        course: null,
        durationMs: whole('duration', values.duration, 300, 1, 1_000_000) * 1000,
        jobs: Math.min(seeds, whole('jobs', values.jobs, availableParallelism(), 1, 256)),
        mutant: values.mutant ?? null,
        json: values.json === true ? 'yes' : 'no',
        trace: values.trace === true ? 'yes' : 'no',
        shrink: values['no-shrink'] === true ? 'no' : 'yes',
        stopAtFirst: values.stop === true ? 'yes' : 'no',
        replay: values.replay ?? null,
      },
    };
  } catch (error) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}

function flavourOf(text: string | undefined): Flavour | null {
  if (text === undefined) return null;
  const flavour = FLAVOURS.find((each) => each === text);
  if (flavour === undefined) throw new Error(`--flavour must be ${FLAVOURS.join(', ')}, not "${text}".`);
  return flavour;
}

function durabilityOf(text: string | undefined): 'sync' | 'async' | null {
  if (text === undefined || text === 'sync' || text === 'async') return text ?? null;
  throw new Error(`--durability must be sync or async, not "${text}".`);
}

function faultsOf(text: string | undefined): readonly FaultKind[] | null {
  if (text === undefined) return null;
  return text.split(',').map((name) => {
    const kind = FAULT_KINDS.find((each) => each === name);
    if (kind === undefined) throw new Error(`There is no fault "${name}"; there are: ${FAULT_KINDS.join(', ')}.`);
    return kind;
  });
}

function whole(name: string, text: string | undefined, byDefault: number, least: number, most: number): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`--${name} must be a whole number from ${least} to ${most}, not "${text}".`);
  }
  return value;
}
