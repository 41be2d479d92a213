// The `understudy` command as a process. What it does is in `run.ts`; what it can do, in `tree/`.
import { processIo } from './output/io.ts';
import { run } from './run.ts';

process.exitCode = await run(process.argv.slice(2), processIo());
