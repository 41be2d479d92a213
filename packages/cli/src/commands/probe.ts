import { z } from 'zod';
import { findTarget, targetOptionsSchema } from '../client/target.ts';
import { type Context, note, print, printJson } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { liveLines } from '../output/screen.ts';
import { formatDuration, plural } from '../output/text.ts';
import { type Interruption, type ProbeSummary, ProbeWriter } from '../probe/writer.ts';
import { driverFor } from '../sql/connect.ts';
import { serversOf } from '../sql/hosts.ts';
import { loginFor } from '../sql/login.ts';

const optionsSchema = targetOptionsSchema.extend({
  user: z.string().optional(),
  database: z.string().optional(),
  every: z.number(),
  for: z.number().optional(),
});

const redrawMs = 250;

/** `understudy probe`: a client that writes all the time, and says what it saw. */
export async function probe(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const options = optionsSchema.parse(given);
  const interrupted = context.interruption();
  const signal =
    options.for === undefined ? interrupted : AbortSignal.any([interrupted, AbortSignal.timeout(options.for)]);
  const target = await findTarget(options, context.io.env);
  const { engine, hosts } = await serversOf(target);
  const login = await loginFor(engine, target, options, context.io.env);
  const view = viewOf(context);
  const writer = new ProbeWriter({
    driver: await driverFor(engine),
    hosts,
    login,
    everyMs: options.every,
    onInterruption: (interruption) => view.tell(interruption),
  });
  await writer.prepare(signal);
  const timer = setInterval(() => view.draw(writer.summary()), redrawMs);
  try {
    await writer.write(signal);
  } finally {
    clearInterval(timer);
    view.end();
  }
  return conclude(context, await writer.finish());
}

function conclude(context: Context, summary: ProbeSummary): ExitCode {
  if (context.format === 'json') printJson(context, summary);
  else print(context, summaryLines(summary));
  if (summary.lost === 0) return EXIT.done;
  const next = 'The table understudy_probe was kept. Please report this with the logs of the agents.';
  throw new CliError('REQUEST_FAILED', `${plural(summary.lost, 'acknowledged row')} missing.`, { next });
}

function summaryLines({ acknowledged, unknown, lost, interruptions }: ProbeSummary): string[] {
  const longestMs = Math.max(0, ...interruptions.map(({ durationMs }) => durationMs));
  return [
    `${plural(acknowledged, 'row')} acknowledged, ${lost} of them missing; ${unknown} of unknown outcome (sent, never answered).`,
    interruptions.length === 0
      ? 'Writes were never interrupted.'
      : `${plural(interruptions.length, 'interruption')}, the longest ${formatDuration(longestMs)}.`,
  ];
}

interface View {
  tell(interruption: Interruption): void;
  draw(summary: ProbeSummary): void;
  end(): void;
}

function viewOf(context: Context): View {
  const { io, errStyle: style } = context;
  const live = context.format === 'text' && io.err.isTTY ? liveLines(io.err) : null;
  return {
    tell: ({ durationMs, from, to }) => {
      live?.clear();
      const where = from === to ? `on ${to}` : `${from ?? 'nowhere'} → ${to}`;
      const text = `writes were interrupted for ${formatDuration(durationMs)} (${where})`;
      note(context, `${style.dim(new Date().toISOString().slice(11, 23))}  ${style.yellow(text)}`);
    },
    draw: ({ acknowledged, on }) => {
      const where = on === null ? style.red('no primary') : style.green(on);
      live?.show([`${acknowledged} rows acknowledged · writing to ${where} · Ctrl-C ends and checks`]);
    },
    end: () => live?.clear(),
  };
}
