import { spread } from '../../check/summary.ts';
import type { BenchContext } from '../bench.ts';
import { binlogSubject } from './binlog.ts';
import { Pair } from './pair.ts';
import { postgresSubject } from './postgres.ts';
import type { Subject } from './subject.ts';

type Spread = ReturnType<typeof spread>;

/** Times of copying one database, by us (everything from the command to the data directory in its place) and by hand (the copying alone). */
export interface CloneFigures {
  readonly server: string;
  readonly bytes: number;
  readonly oursMs: Spread;
  readonly byHand: readonly {
    readonly name: string;
    readonly ms: Spread /** Ours to this one, of the medians. */;
    readonly ratio: number;
  }[];
}

/** Copies a database of so many bytes again and again, in turns with the product's own tools. */
export async function benchClone(
  context: BenchContext,
  { megabytes, runs }: { readonly megabytes: number; readonly runs: number },
): Promise<CloneFigures> {
  const { engine, serverVersion } = context.options;
  const subject =
    engine === 'postgres' ? await postgresSubject(serverVersion) : await binlogSubject(engine, serverVersion);
  const bytes = megabytes * 1024 ** 2;
  const pair = await Pair.open(subject.make);
  try {
    context.say(`${subject.name}: filling a database with ${megabytes} MB`);
    await subject.fill(pair, bytes);
    return await inTurns(context, subject, pair, { bytes, runs });
  } finally {
    await pair.close();
  }
}

async function inTurns(
  { signal, say }: BenchContext,
  { name, byHand }: Subject,
  pair: Pair,
  { bytes, runs }: { readonly bytes: number; readonly runs: number },
): Promise<CloneFigures> {
  const ours: number[] = [];
  const theirs = byHand.map((way) => ({ way, ms: [] as number[] }));
  for (let run = 1; run <= runs; run += 1) {
    signal.throwIfAborted();
    ours.push(await pair.copy());
    for (const { way, ms } of theirs) ms.push(await way.copy(pair, signal));
    const others = theirs.map(({ way, ms }) => `${way.name} ${Math.round(ms.at(-1) ?? 0)} ms`).join(', ');
    say(`${run}/${runs}: ours ${Math.round(ours.at(-1) ?? 0)} ms, ${others}`);
  }
  const oursMs = spread(ours);
  const figures = theirs.map(({ way, ms }) => ({ name: way.name, ms: spread(ms), ratio: ratioOf(oursMs, spread(ms)) }));
  return { server: name, bytes, oursMs, byHand: figures };
}

const ratioOf = (a: Spread, b: Spread): number => Math.round((100 * a.p50) / Math.max(1, b.p50)) / 100;
