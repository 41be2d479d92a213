import { join } from 'node:path';
import { identityName, type Owner, replaceFile } from '@understudy/engine/host';
import { z } from 'zod';

const identitySchema = z.object({
  cluster: z.string(),
  member: z.string(),
  systemId: z.string().regex(/^\d+$/),
  major: z.int(),
});

/** Whose data directory this is; written by Understudy when it makes one. */
export type DataIdentity = z.output<typeof identitySchema>;

export interface ExpectedData {
  readonly cluster: string;
  readonly major: number;
}

/** The identity in a file's text; null when it is not one. */
export function parseIdentity(text: string): DataIdentity | null {
  try {
    const parsed = identitySchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Writes who a data directory belongs to. */
export async function writeIdentity(dataDir: string, identity: DataIdentity, owner: Owner): Promise<void> {
  await replaceFile(join(dataDir, identityName), `${JSON.stringify(identity, null, 2)}\n`, owner);
}
