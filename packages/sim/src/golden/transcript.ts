import { formatPosition } from '@understudy/core';
import { describeRecord } from '../agent/describe.ts';
import { engineState, nameOf } from '../agent/observe.ts';
import { RuleProof } from '../agent/rule-proof.ts';
import { describeFault } from '../faults/fault.ts';
import { Injector } from '../faults/inject.ts';
import { World } from '../run/world.ts';
import { Workload } from '../workload/workload.ts';
import { CALM_MS, inputLines, type Story } from './stories.ts';

const WIDTH = 100;
/** Said all the time, and teaching nothing. */
const NOISE = /^(busy|connecting|reading-log|starting|copy-waits):/;

/** Runs a story and writes down what happened after the calm. */
export function transcript(story: Story): string {
  const { scenario } = story;
  const world = new World(scenario, 'trace');
  const workload = new Workload(world);
  const injector = new Injector(world, () => workload.stir());
  world.begin();
  workload.start();
  injector.plan(scenario.faults);
  runUntil(world, CALM_MS - 1);
  const before = describeState(world);
  world.checks.forgetGap();
  runUntil(world, scenario.durationMs);
  const lines = world.trace.lines.filter((line) => line.atMs >= CALM_MS && !NOISE.test(line.what));
  return [
    `# ${story.title}`,
    '#',
    ...wrap(story.lesson).map((line) => `# ${line}`),
    '',
    ...inputLines(story.input),
    '',
    ...scenario.faults.map((fault) => `given   ${at(fault.at)} ${describeFault(fault)}`),
    '',
    ...before.map((line) => `before  ${line}`),
    '',
    ...lines.flatMap((line) => wrapLine(at(line.atMs), line.who, line.what)),
    '',
    ...describeState(world).map((line) => `after   ${line}`),
    `after   the longest time without an acknowledged write: ${(world.checks.longestGapMs / 1000).toFixed(2)} s`,
    `after   promises broken: ${world.checks.violations.length === 0 ? 'none' : JSON.stringify(world.checks.violations)}`,
    '',
  ].join('\n');
}

function runUntil(world: World, until: number): void {
  while (world.scheduler.step(until));
}

/** Seconds since the calm. */
const at = (ms: number): string => `+${((ms - CALM_MS) / 1000).toFixed(3)}`;

function describeState(world: World): readonly string[] {
  const { record, servers } = world;
  const memory = { proof: new RuleProof(), peers: new Map(), unresponsiveMs: 0, startingMs: 0, receiverSilentMs: 0 };
  const nodes = servers.map((server) => {
    const name = nameOf(server.index);
    if (server.process === 'primary') return `${name} primary`;
    const state = engineState(server, memory);
    if (state.kind !== 'replica') return `${name} ${state.kind}`;
    const stream = state.receiver.kind === 'streaming' ? `receives from ${state.upstream}` : state.receiver.kind;
    return `${name} replica, ${stream}${state.position === null ? '' : `, ${formatPosition(state.position)}`}`;
  });
  return [record === null ? 'no record' : describeRecord(record), ...nodes];
}

function wrapLine(when: string, who: string, what: string): readonly string[] {
  const lead = `${when.padStart(8)}  ${who.padEnd(6)}`;
  const [first = '', ...rest] = wrap(what);
  return [`${lead}${first}`, ...rest.map((line) => `${' '.repeat(lead.length + 4)}${line.trimStart()}`)];
}

/** Breaks a text at words; leading spaces stay. */
function wrap(text: string): readonly string[] {
  const indent = /^ */.exec(text)?.[0] ?? '';
  const lines: string[] = [];
  let line = '';
  for (const word of text.trim().split(' ')) {
    if (line !== '' && line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? indent + word : `${line} ${word}`;
  }
  return [...lines, line];
}
