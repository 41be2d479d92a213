/** Databases that stand for the console; the second is where exporters made for pgbouncer look. */
export const CONSOLE_DATABASES: ReadonlySet<string> = new Set(['understudy', 'pgbouncer']);
