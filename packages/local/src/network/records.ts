import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from '@understudy/base/processes';
import { z } from 'zod';
import { putFile } from '../files.ts';

/** Networks outlive the process that made them, so each is written down where it is lost with the network itself: until the next boot. */
const folder = '/run/understudy/networks';

const recordSchema = z.object({
  id: z.string(),
  /** The process that made it; with the start time, because ids are used again. */
  pid: z.number().int(),
  startTicks: z.coerce.string(),
  bridge: z.string().regex(/^us[0-9a-f]{6}br$/),
  /** First three numbers of the /24. */
  subnet: z.string(),
  hosts: z.array(
    z.object({
      node: z.string(),
      address: z.string(),
      namespace: z.string().regex(/^us[0-9a-f]{6}-\d+$/),
      cable: z.string().regex(/^us[0-9a-f]{6}v\d+$/),
    }),
  ),
});

export type NetworkRecord = z.infer<typeof recordSchema>;

const fileOf = ({ id }: NetworkRecord): string => join(folder, `${id}.json`);

export async function note(record: NetworkRecord): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await putFile(fileOf(record), JSON.stringify(record));
}

export async function forget(record: NetworkRecord): Promise<void> {
  await rm(fileOf(record), { force: true });
}

/** Networks of processes that have ended. */
export async function staleRecords(): Promise<NetworkRecord[]> {
  const names = await readdir(folder).catch(() => []);
  const found: NetworkRecord[] = [];
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '');
    const parsed = recordSchema.safeParse(parseJson(text));
    if (parsed.success && !isAlive(parsed.data)) found.push(parsed.data);
  }
  return found;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
