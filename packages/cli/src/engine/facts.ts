/** What the commands have to know of an engine to talk about it and to log in to it. */
export interface EngineFacts {
  /** The product's own name. */
  readonly title: string;
  /** The account and the database that are meant when none are named. */
  readonly user: string;
  readonly database: string;
}

const mysql = { user: 'admin', database: 'app' };

const known = new Map<string, EngineFacts>([
  ['postgres', { title: 'PostgreSQL', user: 'postgres', database: 'postgres' }],
  ['mysql', { title: 'MySQL', ...mysql }],
  ['mariadb', { title: 'MariaDB', ...mysql }],
]);

/** The facts of an engine, by the name that its agents give. One that is not known yet is called by that name. */
export function engineFacts(engine: string): EngineFacts {
  return known.get(engine) ?? { title: engine, ...mysql };
}
