import type { SideName } from '../../src/decide/sides.ts';

/** Two transactions that are open at the same time, what is committed on top of them, and what is left when one side is kept. */
export interface ConflictCase {
  readonly name: string;
  readonly n1: readonly string[];
  readonly n2: readonly string[];
  readonly afterwards?: { readonly side: SideName; readonly sql: string };
  readonly keep: SideName;
  /** `id:code:n` of all rows afterwards, on both. */
  readonly left: string;
}

export const richTable =
  "create table rich (id int auto_increment primary key, code varchar(20) unique, n int, b varbinary(10), j json, bits bit(4), f float, at timestamp(3) null, e enum('a','b'), g int as (n + 1))";

const rich = "x'00ff27', '{\"a\":1}', b'101', 1.1, '2026-01-02 03:04:05.678', 'b'";

/** They build on each other: ids are odd on n1, even on n2. */
export const conflictCases: readonly ConflictCase[] = [
  {
    name: 'one of three inserts of a transaction; the others stay, and so does every type',
    n1: [
      "insert into rich (code, n) values ('u1', 1)",
      `insert into rich (code, n, b, j, bits, f, at, e) values ('dup', 2, ${rich})`,
      "insert into rich (code, n) values ('u2', 3)",
    ],
    n2: ["insert into rich (code, n) values ('dup', 99)"],
    keep: 'n1',
    left: '1:u1:1 3:dup:2 5:u2:3',
  },
  {
    name: 'a row that is changed again in its own transaction, and in a later one',
    n1: [
      "insert into rich (code, n) values ('m1', 1)",
      "insert into rich (code, n) values ('dup2', 2)",
      "update rich set n = 5 where code = 'dup2'",
    ],
    n2: ["insert into rich (code, n) values ('dup2', 99)"],
    afterwards: { side: 'n1', sql: "update rich set n = n + 1 where code = 'dup2'" },
    keep: 'n2',
    left: '1:u1:1 3:dup:2 5:u2:3 6:dup2:99 7:m1:1',
  },
  {
    name: 'the same primary key, given by the clients',
    n1: ["insert into rich (id, code, n) values (1000, 'one', 1)"],
    n2: ["insert into rich (id, code, n) values (1000, 'two', 2)"],
    keep: 'n2',
    left: '1:u1:1 3:dup:2 5:u2:3 6:dup2:99 7:m1:1 1000:two:2',
  },
  {
    name: 'a delete against an update, the delete is kept',
    n1: ["delete from rich where code = 'dup2'"],
    n2: ["update rich set n = 77 where code = 'dup2'"],
    keep: 'n1',
    left: '1:u1:1 3:dup:2 5:u2:3 7:m1:1 1000:two:2',
  },
  {
    name: 'a delete against a delete',
    n1: ["delete from rich where code = 'u1'"],
    n2: ["delete from rich where code = 'u1'"],
    keep: 'n1',
    left: '3:dup:2 5:u2:3 7:m1:1 1000:two:2',
  },
  {
    name: 'two updates to one unique value',
    n1: ["update rich set code = 'same' where code = 'u2'"],
    n2: ["update rich set code = 'same' where code = 'm1'"],
    keep: 'n1',
    left: '3:dup:2 5:same:3 7:m1:1 1000:two:2',
  },
];
