import type { Flavour } from '../programs.ts';
import type { Parameters } from './file.ts';

/** Variables that count only when a database is made: a server does not start on one that was made with another value. */
const names: Readonly<Record<Flavour, readonly string[]>> = {
  mysql: ['lower_case_table_names', 'innodb_page_size', 'innodb_data_file_path'],
  mariadb: ['lower_case_table_names', 'innodb_page_size', 'innodb_data_file_path'],
};

/** What a database has that was made without them, on every version. */
const defaults: Parameters = {
  lower_case_table_names: '0',
  innodb_page_size: '16384',
  innodb_data_file_path: 'ibdata1:12M:autoextend',
};

/** Without those that are as on a database that was made without them. */
export function withoutDefaults(made: Parameters): Parameters {
  return Object.fromEntries(
    Object.entries(made).filter(([name, value]) => plainValue(value) !== plainValue(defaults[name] ?? '')),
  );
}

/** Of those variables: what a query of a running server asks for. */
export const makingNames = (flavour: Flavour): readonly string[] => names[flavour];

export const countsAtMaking = (name: string, flavour: Flavour): boolean => names[flavour].includes(name);

/** Of parameters: those that a database is made with. */
export function atMaking(parameters: Parameters, flavour: Flavour): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => countsAtMaking(name, flavour)));
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A value as the server shows it: `16k` is 16384. */
export function plainValue(value: string): string {
  const number = /^(\d+)([kmg]?)$/i.exec(value.trim());
  if (number === null) return value.trim().toLowerCase();
  return String(Number(number[1]) * (units[(number[2] ?? '').toLowerCase()] ?? 1));
}

/** Half a sentence: why a value cannot be had on a database that exists. Null: it is the value that it was made with. */
export function madeOtherwise(name: string, value: string, made: Parameters): string | null {
  const had = made[name] ?? defaults[name];
  if (had !== undefined && plainValue(had) === plainValue(value)) return null;
  const what = had === undefined ? 'without it' : `with ${had}`;
  return `counts only when a database is made, and this one was made ${what}; the value is left out. For another one, make a new cluster with it and load a dump.`;
}
