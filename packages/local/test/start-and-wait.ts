// Starts a cluster in the folder given, says so, and waits to be killed: a stand-in for `understudy up`.
import { createLocalCluster } from '../src/index.ts';
import { understudyCommand } from './folders.ts';

const [, , folder = ''] = process.argv;
const cluster = await createLocalCluster({ name: 'left', folder, nodes: 2, command: understudyCommand });
await cluster.start();
process.stdout.write('ready\n');
setInterval(() => undefined, 1000);
