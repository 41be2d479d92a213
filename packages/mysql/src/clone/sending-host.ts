import type { Log, Owner } from '@understudy/engine/host';
import type { Dialect } from '../dialect/dialect.ts';
import type { MysqlOptions } from '../options.ts';
import type { Paths } from '../paths.ts';
import type { ServerPrograms } from '../programs.ts';
import type { LocalSql } from '../sql/local.ts';

/** What a copy needs of the server whose files it sends. */
export interface SendingHost {
  readonly options: MysqlOptions;
  readonly paths: Paths;
  readonly owner: Owner;
  readonly programs: ServerPrograms;
  readonly sql: LocalSql;
  readonly dialect: Dialect;
  readonly log: Log;
}
