// Runs on the Node that the machine happens to have (20 or later) and without any dependency: it installs them.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const lockWaitMs = 10 * 60_000;

/**
 * Installs what package-lock.json asks for, if it is not installed already.
 *
 * The truth is npm's own record of what lies in node_modules, compared entry by entry with the lock file: this also notices an
 * installation without development dependencies, another branch's, and a half-finished one.
 *
 * @param {string} root the checkout
 * @param {{ dev: boolean }} options whether development dependencies are needed
 * @throws {Error} with npm's own output when npm fails
 */
export async function ensureInstalled(root, options) {
  if (missingPackages(root, options).length === 0) return;
  await withInstallLock(root, async () => {
    const missing = missingPackages(root, options);
    if (missing.length > 0) await install(root, options, missing);
  });
}

/**
 * @param {string} root
 * @param {{ dev: boolean }} options
 * @returns {string[]} paths below root that the lock file wants and node_modules does not have in that version
 */
export function missingPackages(root, { dev }) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (wanted === null) throw new Error(`There is no readable package-lock.json in ${root}. Restore it from git.`);
  const present = readPackages(join(root, 'node_modules', '.package-lock.json')) ?? {};
  return Object.entries(wanted)
    .filter(([path, entry]) => path.startsWith('node_modules/') && (dev || !isOnlyForDevelopment(entry)))
    .filter(([, entry]) => fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && !entry.libc)
    .filter(([path, entry]) => !isSame(entry, present[path]) || !existsSync(join(root, path)))
    .map(([path]) => path);
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return null;
  }
}

function isOnlyForDevelopment(entry) {
  return entry.dev === true || entry.devOptional === true;
}

function fits(allowed, actual) {
  if (allowed === undefined) return true;
  const names = Array.isArray(allowed) ? allowed : [allowed];
  const refused = names.filter((name) => name.startsWith('!')).map((name) => name.slice(1));
  return refused.length > 0 ? !refused.includes(actual) : names.includes(actual);
}

function isSame(wanted, present) {
  if (present === undefined) return false;
  return wanted.link === true ? present.link === true : wanted.version === present.version;
}

/** Two commands in one checkout must not run npm at once. A lock of a process that is gone is taken over. */
async function withInstallLock(root, work) {
  const lock = join(root, '.cache', 'install.lock');
  mkdirSync(join(root, '.cache'), { recursive: true });
  const deadlineMs = performance.now() + lockWaitMs;
  while (!tryLock(lock)) {
    if (performance.now() > deadlineMs)
      throw new Error(`Another process holds ${lock} for too long. End it, try again.`);
    await delay(300);
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLock(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!isHeld(lock)) rmSync(lock, { force: true });
  return false;
}

function isHeld(lock) {
  try {
    const holder = Number(readFileSync(lock, 'utf8'));
    // The holder makes the file before it writes its number.
    if (holder === 0) return performance.timeOrigin + performance.now() - statSync(lock).mtimeMs < 5000;
    process.kill(holder, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function install(root, { dev }, missing) {
  const stopProgress = showProgress(root, missing, { dev });
  const { code, output, command } = await runFirstThatWorks(root, commandsFor(root, dev));
  stopProgress(code === 0);
  const absent = code === 0 ? missingPackages(root, { dev }) : [];
  if (code === 0 && absent.length === 0) return;
  const cause = code === 0 ? `npm left out ${absent.join(', ')}` : `"npm ${command}" failed with exit code ${code}`;
  throw new Error(
    `${output.trim()}\n\n${cause}. Check that "npm ping" works and that the disk is not full, then try again.`,
  );
}

/** `npm ci` is exact, but it would first remove what other processes of this checkout may be running from. */
function commandsFor(root, dev) {
  const options = [
    dev ? '--include=dev' : '--omit=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const add = ['install', '--no-save', ...options];
  return existsSync(join(root, 'node_modules')) ? [add] : [['ci', ...options], add];
}

async function runFirstThatWorks(root, commands) {
  let result = { code: 1, output: '', command: '' };
  for (const args of commands) {
    result = { ...(await runNpm(root, args)), command: args.join(' ') };
    if (result.code === 0) break;
  }
  return result;
}

function runNpm(root, args) {
  const script = process.env.npm_execpath;
  const [program, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => reject(new Error(`Could not start npm: ${error.message}. Install npm, try again.`)));
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** A bar over the packages that have arrived on a terminal, otherwise two lines. */
function showProgress(root, missing, options) {
  const startedMs = performance.now();
  const seconds = () => `${Math.round((performance.now() - startedMs) / 1000)} s`;
  const what = `${missing.length} npm packages${options.dev ? '' : ' (with Node 24 and PostgreSQL 17 among them)'}`;
  if (!process.stderr.isTTY) {
    process.stderr.write(`Installing ${what} …\n`);
    return (isDone) => process.stderr.write(isDone ? `Installed in ${seconds()}.\n` : '');
  }
  const draw = () => {
    const arrived = missing.filter((path) => existsSync(join(root, path, 'package.json'))).length;
    const full = Math.round((24 * arrived) / missing.length);
    const bar = '█'.repeat(full) + '░'.repeat(24 - full);
    process.stderr.write(
      `\r\u001b[KInstalling ${bar} ${arrived} of ${what}, ${seconds()}`.slice(0, (process.stderr.columns || 80) + 3),
    );
  };
  const timer = setInterval(draw, 200);
  draw();
  return (isDone) => {
    clearInterval(timer);
    process.stderr.write(`\r\u001b[K${isDone ? `Installed ${what} in ${seconds()}.\n` : ''}`);
  };
}
