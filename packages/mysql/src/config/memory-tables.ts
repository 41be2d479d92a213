import type { Flavour } from '../programs.ts';

/** Tables that are empty after a start: rows `place` and `name`. */
export const memoryTables = `SELECT table_schema AS place, table_name AS name FROM information_schema.tables
  WHERE engine = 'MEMORY' AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')`.replaceAll(/\s+/g, ' ');

const quoted = (column: string): string => `'\`', REPLACE(${column}, '\`', '\`\`'), '\`'`;
const table = `${quoted('place')}, '.', ${quoted('name')}`;

/** Opens each one. MariaDB logs nothing then in a session that logs nothing. */
const openEach = [
  'BEGIN NOT ATOMIC',
  'DECLARE CONTINUE HANDLER FOR SQLEXCEPTION DO 0;',
  `FOR one IN (SELECT CONCAT('SELECT 1 FROM ', ${table}, ' LIMIT 0') AS look FROM (${memoryTables}) AS found)`,
  'DO EXECUTE IMMEDIATE one.look; END FOR;',
  'END;',
].join(' ');

const procedure = 'mysql.understudy_empty';

/**
 * Makes each one anew. MySQL logs the first look at one whatever its session says, but not a `TRUNCATE` of a session that logs nothing, and
 * that is no look. Only a procedure can have a loop there.
 */
const truncateEach = [
  `DROP PROCEDURE IF EXISTS ${procedure};`,
  'delimiter $$',
  [
    `CREATE PROCEDURE ${procedure}() SQL SECURITY INVOKER BEGIN`,
    "DECLARE state CHAR(4) DEFAULT 'more'; DECLARE look TEXT;",
    `DECLARE looks CURSOR FOR SELECT CONCAT('TRUNCATE TABLE ', ${table}) FROM (${memoryTables}) AS found;`,
    "DECLARE CONTINUE HANDLER FOR NOT FOUND SET state = 'done';",
    'DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;',
    "OPEN looks; FETCH looks INTO look; WHILE state = 'more' DO",
    'SET @look = look; PREPARE step FROM @look; EXECUTE step; DEALLOCATE PREPARE step;',
    'FETCH looks INTO look; END WHILE; CLOSE looks; END',
  ].join(' '),
  '$$',
  'delimiter ;',
  `CALL ${procedure}();`,
  `DROP PROCEDURE IF EXISTS ${procedure};`,
].join('\n');

/**
 * What a server runs at its start, before it listens, in a session that logs nothing. Tables of MEMORY are empty after a start, and the first
 * session that opens one makes the server log so, as a transaction of its own: with a number of this server, or (MariaDB) with the number
 * of the transaction that is about to be applied. Nobody may come first.
 */
export const memoryStatements: Readonly<Record<Flavour, string>> = {
  mysql: `${truncateEach}\n`,
  mariadb: `${openEach}\n`,
};
