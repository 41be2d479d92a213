import type { Statement } from './session.ts';

export const drillDatabase = 'drill';
export const drillRole = 'drill_app';

/** The history line that a server writes now, as a number. */
const timelineNow = `('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int`;

/** Every row says which node took it in and on which history line. */
export const createTables = [
  `create table if not exists ids (
     id bigint primary key, writer int not null, node text not null, timeline int not null
   )`,
  `create table if not exists marks (mark bigint primary key)`,
  `grant select, insert on ids to ${drillRole}`,
];

export function insertStatement(id: number, writer: number, node: string): Statement {
  return {
    name: 'insert-id',
    text: `insert into ids (id, writer, node, timeline) values ($1, $2, $3, ${timelineNow}) returning timeline`,
    values: [id, writer, node],
  };
}

/** Number of rows and a sum over all their contents that does not depend on their order. */
export const contentSum = (table: string): string =>
  `select count(*)::text as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text as sum from ${table} t`;
