/** Whether the server has loaded the access rules on its disk, with those for the members' logins. */

import { membersRole, quoteLiteral } from '../names.ts';
import type { PgSession } from '../sql/session.ts';

/** What a look shows. Times in seconds since 1970. */
export interface AccessSeen {
  /** `broken`: the server would not load the file; `without`: it says nothing of members' logins. */
  readonly rules: 'whole' | 'broken' | 'without';
  /** When the file was written; the second has begun then. */
  readonly writtenS: number;
  /** When the configuration was loaded last. */
  readonly loadedS: number;
}

/** `reload`: it may be that nobody has told the server of the file. */
export type Access = 'in-force' | 'reload' | 'not-in-force';

/** @param told what was seen when this process told the server to reload last; null: it did not */
export function accessOf({ rules, writtenS, loadedS }: AccessSeen, told: AccessSeen | null): Access {
  if (rules !== 'whole') return 'not-in-force';
  if (loadedS >= writtenS + 1) return 'in-force';
  // The clock may have been set back since: then a load after ours counts.
  if (told === null || told.writtenS !== writtenS) return 'reload';
  return loadedS === told.loadedS ? 'not-in-force' : 'in-force';
}

const query = `select
  case when exists (select from pg_hba_file_rules where error is not null) then 'broken'
    when exists (select from pg_hba_file_rules where ${quoteLiteral(`+${membersRole}`)} = any(user_name)) then 'whole'
    else 'without' end as rules,
  extract(epoch from (pg_stat_file(current_setting('hba_file'))).modification) as written,
  extract(epoch from pg_conf_load_time()) as loaded`;

export class AccessRules {
  readonly #reload: () => void;
  #told: AccessSeen | null = null;

  /** @param reload tells the server to load its configuration */
  constructor(reload: () => void) {
    this.#reload = reload;
  }

  async look(session: PgSession, timeoutMs: number): Promise<'in-force' | 'not-in-force'> {
    const row = await session.row(query, timeoutMs);
    const rules = row.rules === 'whole' || row.rules === 'broken' ? row.rules : 'without';
    const seen = { rules, writtenS: Number(row.written), loadedS: Number(row.loaded) } as const;
    const access = accessOf(seen, this.#told);
    if (access !== 'reload') return access;
    this.#told = seen;
    this.#reload();
    return 'not-in-force';
  }
}
