import type { StatusView } from '@understudy/agent/client';
import { pause } from '@understudy/base';
import type { LocalCluster } from '@understudy/local';
import { ClusterClient } from '../client/cluster.ts';
import { readTls } from '../client/http.ts';
import { type Context, printJsonLine } from '../context.ts';
import { type Change, changesBetween } from '../render/changes.ts';
import { problemsOf } from '../render/member.ts';
import type { ProgressView } from './up-progress.ts';

/** A whole cluster is looked at now and then, one in which something is going on often. */
const calmMs = 400;
const busyMs = 80;
const lookTimeoutMs = 1500;

/** Prints a line for everything that the cluster decides, until `signal`. */
export async function follow(
  context: Context,
  cluster: LocalCluster,
  progress: ProgressView,
  signal: AbortSignal,
): Promise<void> {
  const urls = cluster.nodes.map((node) => node.address.apiUrl);
  const tls = await readTls(cluster.caFile === null ? {} : { ca: cluster.caFile });
  const client = new ClusterClient(
    { urls, source: cluster.folder, tls, token: async () => null, folder: cluster.folder, insecure: false },
    signal,
  );
  let last: StatusView | null = null;
  while (!signal.aborted) {
    const view = await client.lookAgain(lookTimeoutMs).then(
      ({ status }) => status,
      () => null,
    );
    if (view !== null) {
      if (last !== null) for (const change of changesBetween(last, view)) report(context, progress, change);
      last = view;
    }
    await pause(view !== null && problemsOf(view).length === 0 ? calmMs : busyMs, signal);
  }
}

function report(context: Context, progress: ProgressView, { tone, text }: Change): void {
  if (context.format === 'json') {
    printJsonLine(context, { at: new Date().toISOString(), tone, text });
    return;
  }
  const { errStyle: style } = context;
  const paint = { good: style.green, plain: (plain: string) => plain, warn: style.yellow, bad: style.red }[tone];
  progress.line(`${style.dim(new Date().toISOString().slice(11, 23))}  ${paint(text)}`);
}
