/** The value of `sql_select_limit` that limits nothing. */
export const noLimit = '18446744073709551615';

/**
 * What our statements are written for, and how their answers are read: said by every session, as a new one has what users set for all. Each
 * may be set by any account. One product reads the first kind of comment, the other the second.
 */
export const sessionSetup: readonly string[] = [
  `SET NAMES utf8mb4, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, wait_timeout = 86400,
    lock_wait_timeout = 86400, innodb_lock_wait_timeout = 50, sql_select_limit = ${noLimit}, sql_big_selects = 1,
    sql_safe_updates = 0, sql_auto_is_null = 0, completion_type = 0, time_zone = '+00:00', lc_messages = 'en_US'
    /*!80000 , max_execution_time = 0 */ /*M! , max_statement_time = 0, max_error_count = 64, idle_transaction_timeout = 0,
      idle_readonly_transaction_timeout = 0, idle_write_transaction_timeout = 0 */`,
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE',
].map((statement) => statement.replaceAll(/\s+/g, ' '));

/** The same for a client program, which says it when it connects. @param more statements of the same kind. */
export const initCommand = (...more: readonly string[]): string =>
  `--init-command=${[...sessionSetup, ...more].join('; ')}`;
