import { monotonicMs } from '@understudy/base';
import type { LocalCluster } from '@understudy/local';
import { checkSet, type Tried } from '../check/set.ts';
import { type Database, insertedOf } from '../database/database.ts';
import { databaseFor } from '../database/index.ts';
import { textOf } from '../database/session.ts';
import { withAdmin } from '../run/sql.ts';

/** The shop of every tutorial, with what replication gets wrong first: AUTO_INCREMENT keys, DECIMAL money, DATE without a time zone. */
export const retailDatabase = 'retail_db';

export interface Order {
  readonly customer: string;
  readonly region: string;
  /** In hundredths. */
  readonly cents: number;
  /** ISO date. */
  readonly date: string;
}

const customers = ['Alice', 'Bob', 'Carol', 'Dmitri', 'Eleni', 'Farid', 'Grace', 'Hiroshi'] as const;
const regions = ['North', 'South', 'East', 'West'] as const;
const firstDayMs = Date.UTC(2026, 0, 1);
const dayMs = 86_400_000;

/** The order of a number: always the same, so that what is read can be compared with what must have been written. */
export function orderOf(ref: number): Order {
  return {
    customer: customers[ref % customers.length] ?? '',
    region: regions[ref % regions.length] ?? '',
    cents: 100 + ((ref * 7919) % 999_900),
    date: new Date(firstDayMs + (ref % 365) * dayMs).toISOString().slice(0, 10),
  };
}

const money = (cents: number): string => `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;

/** Orders that are there before anybody writes. */
export const loadedOrders = 40;
/** The first number that clients write. */
export const firstRef = 1000;

const readTimeoutMs = 60_000;

export async function createRetail(cluster: LocalCluster, leader: string): Promise<void> {
  const database = databaseFor(cluster);
  await withAdmin(cluster, leader, database.adminDatabase, (admin) => admin.rows(`create database ${retailDatabase}`));
  await withAdmin(cluster, leader, retailDatabase, async (session) => {
    await session.rows(
      `create table orders (
         order_id bigint ${database.numbered} primary key, ref bigint not null unique, customer varchar(50) not null,
         region varchar(20) not null, amount decimal(10, 2) not null, order_date date not null
       )`,
    );
    for (let ref = 1; ref <= loadedOrders; ref += 1) {
      await session.rows(insertText(database), valuesOf(ref));
    }
  });
}

const insertText = (database: Database): string => {
  const places = [1, 2, 3, 4, 5].map((place) => database.placeholder(place)).join(', ');
  return `insert into orders (ref, customer, region, amount, order_date) values (${places})`;
};

function valuesOf(ref: number): unknown[] {
  const { customer, region, cents, date } = orderOf(ref);
  return [ref, customer, region, money(cents), date];
}

/** The same database, to whose `insert` a row of the workload is an order. */
export function takingOrders(database: Database): Database {
  const text = insertText(database);
  return {
    ...database,
    async insert(session, { id }, timeoutMs) {
      const answer = await session.run({ name: 'insert-order', text, values: valuesOf(id) }, timeoutMs);
      return insertedOf(answer, null, monotonicMs());
    },
  };
}

/**
 * Compares the orders on every node with those that were acknowledged, and their sums by region with what they must be.
 *
 * @returns what was found, in a line
 * @throws Error saying what is wrong, and where
 */
export async function checkOrders(cluster: LocalCluster, tried: readonly Tried[]): Promise<string> {
  let text = '';
  for (const { name } of cluster.nodes) {
    const { refs, sums } = await readOrders(cluster, name);
    const { lost, resurrected, unexpected } = checkSet(tried, new Set(refs.filter((ref) => ref >= firstRef)));
    for (const [what, list] of Object.entries({ lost, resurrected, unexpected })) {
      if (list.length > 0) throw new Error(`${name}: ${list.length} orders ${what}: ${list.slice(0, 10).join(', ')}`);
    }
    const expected = sumsOf(refs);
    if (sums !== expected) throw new Error(`${name}: retail_db.orders sums to ${sums}, must be ${expected}`);
    text = `${refs.length} orders of ${totalOf(refs)}`;
  }
  return text;
}

async function readOrders(
  cluster: LocalCluster,
  node: string,
): Promise<{ readonly refs: readonly number[]; readonly sums: string }> {
  return withAdmin(cluster, node, retailDatabase, async (session) => {
    const rows = await session.rows('select ref from orders order by ref', [], readTimeoutMs);
    const sums: string[] = [];
    for (const region of regions) {
      const total = await session.rows(
        `select coalesce(sum(amount), 0) as total from orders where region = '${region}'`,
        [],
        readTimeoutMs,
      );
      sums.push(`${region} ${textOf(total, 'total')}`);
    }
    return { refs: rows.map(({ ref }) => Number(ref)), sums: sums.join(', ') };
  });
}

const totalOf = (refs: readonly number[]): string => money(refs.reduce((sum, ref) => sum + orderOf(ref).cents, 0));

/** The sums by region of orders with these numbers. */
export function sumsOf(refs: readonly number[]): string {
  return regions
    .map((region) => {
      const cents = refs.map(orderOf).filter((order) => order.region === region);
      return `${region} ${money(cents.reduce((sum, order) => sum + order.cents, 0))}`;
    })
    .join(', ');
}
