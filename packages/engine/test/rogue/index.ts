/** Servers for tests that are none of the cluster's: they speak just enough of a protocol to be asked for what they should never get. */
export { Loot, type Rogue, type RogueCertificate, rogueHost } from './listen.ts';
export { type MysqlQuestion, type MysqlRogueOptions, mysqlRogue } from './mysql.ts';
export { type PostgresQuestion, type PostgresRogueOptions, postgresRogue } from './postgres.ts';
export { type Recorder, type Recording, recorder, replayer } from './replay.ts';
