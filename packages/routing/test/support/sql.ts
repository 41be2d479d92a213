import fc from 'fast-check';

/** A statement, and whether a part of it needs the primary. `«n»` stands for a number. */
export interface Generated {
  readonly text: string;
  readonly isRead: boolean;
}

const read = (text: string): Generated => ({ text, isRead: true });
const other = (text: string): Generated => ({ text, isRead: false });

const SAFE_VALUES = [
  '«n»',
  "'a'",
  'a',
  't.a',
  'NULL',
  'now()',
  'price(«n»)',
  'upper(b)',
  "'x'::text",
  '$1',
  'random()',
  'current_user',
];
const BAD_VALUES = [
  'bump()',
  "nextval('seq')",
  'unheard_of(«n»)',
  'pg_advisory_lock(«n»)',
  'pg_backend_pid()',
  'txid_current()',
  "'x'::checked",
  '(a <<!>> «n»)',
  '(t).bump',
];
const SAFE_TABLES = ['t', 'u AS t', 'public.t', 'plain_view AS t', 'generate_series(1, «n») AS t(a)'];
const BAD_TABLES = [
  'scratch AS t',
  'counting_view AS t',
  'unheard_of AS t',
  'pg_locks AS t',
  'bump() AS t(a)',
  'seq AS t',
];

const joined = (parts: readonly Generated[], write: (texts: readonly string[]) => string): Generated => ({
  text: write(parts.map(({ text }) => text)),
  isRead: parts.every(({ isRead }) => isRead),
});

const aValue: fc.Arbitrary<Generated> = fc.letrec<{ value: Generated }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 12, arbitrary: fc.constantFrom(...SAFE_VALUES).map(read) },
    { weight: 1, arbitrary: fc.constantFrom(...BAD_VALUES).map(other) },
    {
      weight: 2,
      arbitrary: fc.tuple(tie('value'), tie('value')).map((pair) => joined(pair, ([a, b]) => `(${a} = ${b})`)),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie('value'), tie('value'))
        .map((pair) => joined(pair, ([a, b]) => `CASE WHEN ${a} IS NULL THEN ${b} END`)),
    },
    { weight: 1, arbitrary: tie('value').map((one) => joined([one], ([a]) => `EXISTS (SELECT ${a} FROM t)`)) },
    { weight: 1, arbitrary: tie('value').map((one) => joined([one], ([a]) => `ARRAY[${a}]`)) },
  ),
})).value;

const aTable = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(...SAFE_TABLES).map(read) },
  { weight: 1, arbitrary: fc.constantFrom(...BAD_TABLES).map(other) },
);

const LOCKS = ['', '', '', '', '', '', ' FOR UPDATE', ' FOR SHARE OF t'];

const aSelect: fc.Arbitrary<Generated> = fc
  .tuple(fc.array(aValue, { minLength: 1, maxLength: 3 }), aTable, fc.option(aValue), fc.constantFrom(...LOCKS))
  .map(([values, table, condition, lock]) => {
    const list = joined(values, (texts) => texts.join(', '));
    const parts = [list, table, ...(condition === null ? [] : [condition]), { text: lock, isRead: lock === '' }];
    const where = condition === null ? '' : ` WHERE ${condition.text}`;
    return joined(parts, () => `SELECT ${list.text} FROM ${table.text}${where}${lock}`);
  });

const WRITES = ['DELETE FROM t', "UPDATE t SET a = «n» WHERE b = 'x'", 'INSERT INTO t VALUES («n») RETURNING a'];

/** Statements of reads and of what is none, nested in each other. */
export const aStatement: fc.Arbitrary<Generated> = fc.oneof(
  { weight: 4, arbitrary: aSelect },
  {
    weight: 2,
    arbitrary: fc
      .tuple(aSelect, aSelect)
      .map((pair) => joined(pair, ([a, b]) => `WITH c AS (${a}) (${b}) UNION ALL (SELECT 1)`)),
  },
  { weight: 2, arbitrary: fc.tuple(aSelect, aSelect).map((pair) => joined(pair, ([a, b]) => `${a}; ${b}`)) },
  { weight: 1, arbitrary: aSelect.map((one) => joined([one], ([a]) => `SELECT * FROM (${a}) AS s`)) },
  { weight: 1, arbitrary: aSelect.map((one) => joined([one], ([a]) => `COPY (${a}) TO STDOUT`)) },
  { weight: 1, arbitrary: aSelect.map((one) => joined([one], ([a]) => `EXPLAIN ANALYZE ${a}`)) },
  { weight: 1, arbitrary: fc.constantFrom(...WRITES).map(other) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...WRITES), aSelect)
      .map(([write, { text }]) => other(`WITH w AS (${write.replace(' RETURNING a', '')} RETURNING 1) ${text}`)),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(aSelect, fc.constantFrom(...WRITES)).map(([{ text }, write]) => other(`${text}; ${write}`)),
  },
);

/** Ways to write the same statement. */
export const disguised: fc.Arbitrary<(text: string) => string> = fc.constantFrom(
  (text: string) => text,
  (text: string) => `/* SELECT 1 */ ${text}`,
  (text: string) => `-- SELECT 1\n${text}`,
  (text: string) => `\n\t ;; ${text} ;`,
  (text: string) => `${text} -- 'open`,
  (text: string) => `/* a /* ' */ b */${text}/* " */`,
  (text: string) => text.replaceAll('SELECT', 'sElEcT'),
  (text: string) => text.replaceAll(' ', '\n '),
  (text: string) => `${text}\n/* understudy: level=eventual route=replica */`,
);
