export { CliError, type CliErrorCode } from './errors.ts';
export { EXIT, type ExitCode } from './exit-codes.ts';
export type { Io, Sink } from './output/io.ts';
export { run } from './run.ts';
