import { monotonicMs } from '@understudy/base';
import type { ClusterEvent, StartProgress } from '@understudy/local';
import { type Context, note } from '../context.ts';
import { type LiveLines, liveLines } from '../output/screen.ts';
import type { Style } from '../output/style.ts';
import { formatDuration, padEnd } from '../output/text.ts';

/** What `up` shows while it starts and stops. Everything goes to standard error: standard output is for the result. */
export interface ProgressView {
  show(step: StartProgress): void;
  tell(event: ClusterEvent): void;
  /** One line of what happened, with the time, above anything that is being redrawn. */
  line(text: string): void;
  /** The start is over, in whatever way. Can be called twice. */
  end(): void;
  stopping(): void;
  stopped(folder: string): void;
}

const redrawMs = 100;
const barWidth = 24;
const frames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

export function startProgress(context: Context): ProgressView {
  return context.format === 'text' && context.io.err.isTTY ? new TerminalProgress(context) : new PlainProgress(context);
}

export function eventText(event: ClusterEvent): string {
  switch (event.kind) {
    case 'notice':
      return event.text;
    case 'ended':
      return `${event.name}: the process ended (${event.how})`;
    case 'restarted':
      return `${event.name}: started again`;
  }
}

/** Redraws a few lines in place, several times a second, so that a long step is seen to live. */
class TerminalProgress implements ProgressView {
  readonly #context: Context;
  readonly #live: LiveLines;
  readonly #startedMs = monotonicMs();
  readonly #timer: NodeJS.Timeout;
  #step: StartProgress | null = null;
  #frame = 0;
  #life: 'starting' | 'over' = 'starting';

  constructor(context: Context) {
    this.#context = context;
    this.#live = liveLines(context.io.err);
    this.#timer = setInterval(() => this.#draw(), redrawMs);
  }

  show(step: StartProgress): void {
    this.#step = step;
  }

  tell(event: ClusterEvent): void {
    this.line(eventText(event));
  }

  line(text: string): void {
    this.#live.clear();
    note(this.#context, text);
    this.#draw();
  }

  end(): void {
    if (this.#life === 'over') return;
    this.#life = 'over';
    clearInterval(this.#timer);
    this.#live.clear();
  }

  stopping(): void {
    this.#context.io.err.write('\nStopping everything cleanly. Ctrl-C again: at once.\n');
  }

  stopped(folder: string): void {
    this.#context.io.err.write(`Stopped. The data is kept in ${folder}.\n`);
  }

  #draw(): void {
    if (this.#life === 'over' || this.#step === null) return;
    this.#frame = (this.#frame + 1) % frames.length;
    const elapsedMs = monotonicMs() - this.#startedMs;
    this.#live.show(progressLines(this.#step, this.#context.errStyle, frames[this.#frame] ?? '', elapsedMs));
  }
}

/** The picture of one moment of a start. */
export function progressLines(step: StartProgress, style: Style, frame: string, elapsedMs: number): string[] {
  const share = step.fraction === null || step.fraction === 0 ? '' : ` ${bar(step.fraction)}`;
  const width = Math.max(0, ...step.nodes.map(({ name }) => name.length));
  const states = Math.max(0, ...step.nodes.map(({ state }) => state.length));
  return [
    `${style.cyan(frame)} ${style.bold(`${step.phase}:`)} ${step.text}${share} ${style.dim(formatDuration(elapsedMs))}`,
    ...step.nodes.map(
      ({ name, state, text }) => `    ${padEnd(name, width)}  ${padEnd(state, states)}  ${style.dim(text)}`,
    ),
  ];
}

function bar(fraction: number): string {
  const full = Math.round(barWidth * Math.max(0, Math.min(1, fraction)));
  return `${'█'.repeat(full)}${'░'.repeat(barWidth - full)} ${Math.round(100 * fraction)} %`;
}

/** In a pipe or a log: a line for each step that is new. */
class PlainProgress implements ProgressView {
  readonly #context: Context;
  #shown = '';

  constructor(context: Context) {
    this.#context = context;
  }

  show(step: StartProgress): void {
    const shape = step.phase === 'ready' || step.nodes.length > 0 ? step.phase : `${step.phase}: ${step.text}`;
    if (shape === this.#shown) return;
    this.#shown = shape;
    this.line(`${step.phase}: ${step.text}`);
  }

  tell(event: ClusterEvent): void {
    this.line(eventText(event));
  }

  line(text: string): void {
    note(this.#context, text);
  }

  end(): void {
    this.#shown = '';
  }

  stopping(): void {
    this.line('Stopping everything cleanly.');
  }

  stopped(folder: string): void {
    this.line(`Stopped. The data is kept in ${folder}.`);
  }
}
