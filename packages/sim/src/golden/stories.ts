import { FAULT_KINDS, type Fault } from '../faults/fault.ts';
import type { Scenario } from '../run/scenario.ts';

/** A scripted scenario whose transcript teaches one part of the protocol. */
export interface Story {
  readonly name: string;
  readonly title: string;
  /** What to look for in the transcript; one paragraph. */
  readonly lesson: string;
  readonly input: StoryInput;
  readonly scenario: Scenario;
}

/** What is to happen, as the transcript's own file says it in its `input` lines. */
export interface StoryInput {
  /** How long the story lasts after the calm. */
  readonly lastsMs: number;
  /** At times after the calm. */
  readonly faults: readonly Fault[];
  /** What is different from the usual cluster: three nodes of PostgreSQL. */
  readonly change: Change;
}

/** The cluster is founded and calm by then; faults are given relative to it. */
export const CALM_MS = 15_000;

type Change = Partial<Omit<Scenario, 'faults' | 'durationMs'>>;

function scenarioOf({ lastsMs, faults, change }: StoryInput): Scenario {
  const nodes = change.nodes ?? 3;
  return {
    seed: 7,
    flavour: 'postgres',
    nodes,
    settleMs: 120_000,
    idleMs: 15_000,
    config: {},
    tags: Array.from({ length: nodes }, () => ({})),
    net: { linkMs: 0.4, jitterMs: 0.2, spikeShare: 0, spikeMs: 0 },
    clocks: Array.from({ length: nodes }, () => ({ rate: 1, wallOffsetMs: 0 })),
    bootDelaysMs: Array.from({ length: nodes }, (_, index) => index * 300),
    storeClockRate: 1,
    writesPerSecond: 100,
    burstPerSecond: 0,
    writeBytes: 200,
    canRewind: 'yes',
    startLsn: 0x3000000,
    streamTimeoutMs: 5000,
    ...change,
    durationMs: CALM_MS + lastsMs,
    faults: faults.map((fault) => ({ ...fault, at: CALM_MS + fault.at })),
  };
}

/** The `input` lines of a story: `lasts`, `change` where there is one, and a line for each fault. */
export function inputLines({ lastsMs, faults, change }: StoryInput): readonly string[] {
  return [
    `lasts   ${lastsMs} ms`,
    ...Object.entries(change).map(([name, value]) => `change  ${name} ${JSON.stringify(value)}`),
    ...faults.map(({ at, ...fault }) => `fault   at ${at} ms ${JSON.stringify(fault)}`),
  ].map((line) => `input   ${line}`);
}

/**
 * Reads a story from its transcript: the title and the lesson from the comment, what is to happen from the `input` lines. Everything
 * below them is written by running it.
 * @throws Error with the line that cannot be read
 */
export function storyOf(name: string, text: string): Story {
  const comment = [...text.matchAll(/^# ?(.*)$/gm)].map(([, line = '']) => line);
  const [title = '', , ...lesson] = comment;
  const input: { lastsMs: number; faults: Fault[]; change: Record<string, unknown> } = {
    lastsMs: 0,
    faults: [],
    change: {},
  };
  for (const [line, what = '', rest = ''] of text.matchAll(/^input +(\w+) +(.*)$/gm)) {
    const [, number = '', name = '', json = ''] = /^(?:at )?(?:(\d+) ms|(\w+)) ?(.*)$/.exec(rest) ?? [];
    const fault: unknown = what === 'fault' ? { at: Number(number), ...JSON.parse(json) } : null;
    if (what === 'lasts' && number !== '') input.lastsMs = Number(number);
    else if (what === 'change' && name !== '') input.change[name] = JSON.parse(json);
    else if (isFault(fault)) input.faults.push(fault);
    else throw new Error(`${name}: "${line}" is no input of a story.`);
  }
  return { name, title, lesson: lesson.join(' '), input, scenario: scenarioOf(input) };
}

function isFault(value: unknown): value is Fault {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && FAULT_KINDS.some((kind) => kind === value.kind)
  );
}
