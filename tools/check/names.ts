import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectFiles } from './files.ts';
import type { CheckResult } from './result.ts';

const execute = promisify(execFile);
const timeoutMs = 30_000;

/** What must not appear in a committed file: it is true on this machine only. */
interface PrivateName {
  readonly text: string;
  readonly what: string;
}

/**
 * Checks that no file names a place of this machine, or the host of a package registry or archive: those are taken from the
 * configuration of whichever machine runs the code, so the list of what to look for is read from there too.
 */
export async function checkNames(root: string): Promise<CheckResult> {
  const names = [...placesOf(root), ...(await hosts(root))];
  const problems = projectFiles(root).flatMap((file) => problemsIn(file, readText(join(root, file)), names));
  return { problems, notes: [] };
}

/** Every line of a file that holds one of the names. */
export function problemsIn(file: string, text: string, names: readonly PrivateName[]): string[] {
  if (!names.some((name) => text.includes(name.text))) return [];
  return text.split('\n').flatMap((line, index) => {
    const found = names.filter((name) => line.includes(name.text));
    return found.map(({ what }) => `${file}:${index + 1} names ${what}. Take it from the machine's configuration.`);
  });
}

function placesOf(root: string): PrivateName[] {
  const home = homedir();
  const isTelling = home.split('/').length > 2;
  const names = [{ text: `${root}/`, what: 'a path of this machine' }];
  return isTelling ? [...names, { text: `${home}/`, what: 'the home of this user' }] : names;
}

async function hosts(root: string): Promise<PrivateName[]> {
  const registry = await output('npm', ['config', 'get', 'registry'], root);
  const archives = await output('apt-get', ['indextargets', '--format', '$(REPO_URI)'], root);
  const addresses = `${registry}\n${archives}`.matchAll(/^[a-z+]+:\/\/(?:[^/\s@]*@)?([^/\s:]+)/gm);
  const found = [...addresses].map((match) => match[1] ?? '').filter((host) => host.includes('.') && !isLoopback(host));
  return [...new Set(found)].map((text) => ({ text, what: "a registry's or archive's host" }));
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.');
}

async function output(program: string, args: readonly string[], cwd: string): Promise<string> {
  return execute(program, args, { cwd, timeout: timeoutMs }).then(
    ({ stdout }) => stdout,
    // A machine without that program has no such hosts.
    () => '',
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
