/**
 * Entry of the guard's process: `node main.ts <run directory> [watchdog device]`. One guard per run directory: it listens on
 * `guard.sock` there; a second one sees that the socket answers, and leaves.
 */

import { appendFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { processName } from '@understudy/base/processes';
import { Guard } from './guard.ts';
import { pidFileOf, socketPathOf } from './paths.ts';
import { Watchdog } from './watchdog.ts';

const MAX_LOG_BYTES = 1024 * 1024;

function main(runDir: string, device: string | null): void {
  const socketPath = socketPathOf(runDir);
  const logPath = join(runDir, 'guard.log');
  let watchdog: Watchdog | null = null;
  let watchdogState: 'off' | 'armed' | 'failed' = 'off';

  const log = (text: string): void => {
    try {
      rotate(logPath);
      appendFileSync(logPath, `${new Date().toISOString()} guard[${process.pid}] ${text}\n`, { mode: 0o600 });
    } catch {
      // A full disk must not keep the guard from its work.
    }
  };
  const exit = (): void => {
    watchdog?.close();
    rmSync(socketPath, { force: true });
    rmSync(pidFileOf(runDir), { force: true });
    process.exit(0);
  };
  const guard = new Guard({ runDir, agentOutput: join(runDir, 'agent.out'), watchdog: () => watchdogState, log, exit });
  const server = createServer((socket) => guard.connected(socket));
  server.on('error', (error) => {
    log(`cannot listen on ${socketPath}: ${error.message}`);
    process.exit(1);
  });
  server.listen(socketPath, () => {
    log('listening');
    writeFileSync(pidFileOf(runDir), JSON.stringify(processName(process.pid)), { mode: 0o600 });
    if (device === null) return;
    try {
      watchdog = new Watchdog(device, () => guard.withinAuthority());
      watchdogState = 'armed';
    } catch (error) {
      watchdogState = 'failed';
      log(`watchdog ${device} cannot be opened: ${String(error)}`);
    }
  });
  // Signals meant for a group must not end the guard before its agent says so.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const)
    process.on(name, () => log(`${name} passed over`));
}

function rotate(path: string): void {
  try {
    if (statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // Not there yet.
  }
}

/** Leaves if another guard answers; otherwise removes what a killed one left and begins. */
function begin(runDir: string, device: string | null): void {
  const socketPath = socketPathOf(runDir);
  const probe = connect(socketPath);
  probe.once('connect', () => process.exit(0));
  probe.once('error', () => {
    rmSync(socketPath, { force: true });
    main(runDir, device);
  });
}

const [, , runDir = '', device = null] = process.argv;
if (runDir === '--warm') process.exit(0);
if (runDir === '') {
  process.stderr.write('usage: guard <run directory> [watchdog device]; started by the agent\n');
  process.exit(2);
}
process.umask(0o077);
begin(runDir, device);
