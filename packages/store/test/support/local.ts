/** The local store for tests: each in a folder of its own, removed at the end. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store } from '@understudy/store';

export interface LocalPlace {
  readonly folder: string;
  readonly path: string;
  open(cluster?: string): Promise<Store>;
  remove(): void;
}

export function makeLocalPlace(): LocalPlace {
  const folder = mkdtempSync(join(tmpdir(), 'us-store-'));
  const path = join(folder, 'store.sqlite');
  return {
    folder,
    path,
    open: (cluster = 'test') => openStore({ kind: 'local', path, cluster }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
