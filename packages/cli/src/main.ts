// The `understudy` command as a process. What it does is in `run.ts`; what it can do, in `tree/`.
import { beLean, leaveNoCores } from './lean.ts';

leaveNoCores();
beLean();
const [{ run }, { processIo }] = await Promise.all([import('./run.ts'), import('./output/io.ts')]);
process.exitCode = await run(process.argv.slice(2), processIo());
