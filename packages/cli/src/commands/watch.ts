import type { StatusView } from '@understudy/agent/client';
import { pause } from '@understudy/base';
import { ClusterClient } from '../client/cluster.ts';
import type { Target } from '../client/target.ts';
import { type Context, print, printJsonLine } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { failureOf } from '../failure.ts';
import { fullScreen } from '../output/screen.ts';
import { PLAIN as plainStyle } from '../output/style.ts';
import { hanging } from '../output/text.ts';
import { changesBetween } from '../render/changes.ts';
import { renderStatus } from '../render/status.ts';

/** One look: a status, or why there was none. */
type Look = { readonly kind: 'seen'; readonly view: StatusView } | { readonly kind: 'failed'; readonly error: unknown };

interface Event {
  readonly time: string;
  readonly text: string;
}

const eventsKept = 100;

/**
 * Shows the status until Ctrl-C. On a terminal the screen is redrawn, with the latest changes below; in a pipe there is one line for
 * each change, with `--json` one object for each look that differs from the last.
 */
export async function watch(context: Context, target: Target, intervalMs: number): Promise<ExitCode> {
  const signal = context.interruption();
  const client = new ClusterClient(target, signal);
  const show = viewer(context);
  try {
    while (!signal.aborted) {
      const look = await lookOnce(client, Math.max(1000, intervalMs));
      if (signal.aborted) break;
      // A wrong address or file stays wrong: only a cluster that does not answer is waited for.
      if (look.kind === 'failed' && !isTemporary(look.error)) throw look.error;
      show.update(look);
      await pause(intervalMs, signal);
    }
  } finally {
    show.close();
  }
  return EXIT.done;
}

async function lookOnce(client: ClusterClient, timeoutMs: number): Promise<Look> {
  try {
    return { kind: 'seen', view: (await client.lookAgain(timeoutMs)).status };
  } catch (error) {
    return { kind: 'failed', error };
  }
}

function isTemporary(error: unknown): boolean {
  return error instanceof CliError && (error.code === 'UNREACHABLE' || error.code === 'ANSWER_INVALID');
}

interface Viewer {
  update(look: Look): void;
  close(): void;
}

function viewer(context: Context): Viewer {
  if (context.format === 'json') return jsonViewer(context);
  return context.io.out.isTTY ? screenViewer(context) : lineViewer(context);
}

function jsonViewer(context: Context): Viewer {
  let last = '';
  return {
    update: (look) => {
      const value = look.kind === 'seen' ? look.view : { error: failureOf(look.error) };
      // The clock alone is no difference.
      const shape = JSON.stringify({ ...value, wallMs: 0 });
      if (shape !== last) printJsonLine(context, value);
      last = shape;
    },
    close: () => undefined,
  };
}

const clockTime = (wallMs: number): string => new Date(wallMs).toTimeString().slice(0, 8);

/** Turns looks into sentences about what changed. */
function teller(): (
  look: Look,
) => readonly { readonly tone: 'good' | 'plain' | 'warn' | 'bad'; readonly text: string }[] {
  let last: StatusView | null = null;
  let problem = '';
  return (look) => {
    if (look.kind === 'failed') {
      const { message } = failureOf(look.error);
      const isNew = problem === '';
      problem = message;
      return isNew ? [{ tone: 'bad', text: message }] : [];
    }
    const before = last;
    last = look.view;
    const back = problem === '' ? [] : [{ tone: 'good', text: 'The cluster answers again.' } as const];
    problem = '';
    return [...back, ...(before === null ? [] : changesBetween(before, look.view))];
  };
}

function lineViewer(context: Context): Viewer {
  const tell = teller();
  let isFirst = true;
  return {
    update: (look) => {
      if (isFirst && look.kind === 'seen') {
        print(context, renderStatus(look.view, { style: plainStyle, width: context.io.out.columns() }));
        isFirst = false;
      }
      print(
        context,
        tell(look).map(({ text }) => `${new Date().toISOString()} ${text}`),
      );
    },
    close: () => undefined,
  };
}

function screenViewer(context: Context): Viewer {
  const { io, style } = context;
  const tell = teller();
  const events: Event[] = [];
  let last: Look | null = null;
  let view: StatusView | null = null;
  const draw = (): readonly string[] => {
    const width = io.out.columns();
    const status = view === null ? [] : renderStatus(view, { style, width });
    const failure =
      last?.kind === 'failed' ? ['', ...hanging(style.red('no answer: '), failureOf(last.error).message, width)] : [];
    const head = [
      ...status,
      ...failure,
      '',
      style.dim(`${clockTime(Date.now())}  Ctrl-C ends this view, not the cluster.`),
    ];
    const room = Math.max(0, io.out.rows() - head.length - 2);
    const shown = room === 0 ? [] : events.slice(-room);
    return [
      ...head,
      ...(shown.length === 0 ? [] : ['', ...shown.map(({ time, text }) => `${style.dim(time)}  ${text}`)]),
    ];
  };
  const screen = fullScreen(io.out, draw);
  return {
    update: (look) => {
      for (const { tone, text } of tell(look)) {
        const paint = { good: style.green, plain: (plain: string) => plain, warn: style.yellow, bad: style.red }[tone];
        events.push({ time: clockTime(Date.now()), text: paint(text) });
      }
      events.splice(0, Math.max(0, events.length - eventsKept));
      last = look;
      if (look.kind === 'seen') view = look.view;
      screen.redraw();
    },
    close: () => screen.close(),
  };
}
