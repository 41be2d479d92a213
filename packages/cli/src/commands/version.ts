import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { versionOf } from '../version.ts';

/** `understudy version` */
export async function version(context: Context): Promise<ExitCode> {
  const own = versionOf();
  const { node } = process.versions;
  if (context.format === 'json')
    printJson(context, { understudy: own, node, platform: `${process.platform}-${process.arch}` });
  else print(context, [`understudy ${own} (Node ${node}, ${process.platform} ${process.arch})`]);
  return EXIT.done;
}
