import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';

/** What a shell may offer after some words of the command. */
export interface Place {
  /** Words of the command up to here, without its name: ``, `status`, `config set`. */
  readonly path: string;
  readonly words: readonly { readonly text: string; readonly meaning: string }[];
}

const writers: Readonly<Record<string, (places: readonly Place[]) => string>> = { bash, zsh, fish };

/** `understudy completion SHELL`: prints a script made from the command tree, so that it cannot be out of date. */
export async function completionFor(context: Context, args: readonly string[], program: Command): Promise<ExitCode> {
  const [shell = ''] = args;
  const write = Object.hasOwn(writers, shell) ? writers[shell] : undefined;
  if (write === undefined) {
    throw new CliError('USAGE', `There is no completion for "${shell}".`, {
      next: `Known shells: ${Object.keys(writers).join(', ')}.`,
    });
  }
  context.io.out.write(write(placesOf(program, [])));
  return EXIT.done;
}

function placesOf(command: Command, path: readonly string[]): Place[] {
  const inner = command.commands.map((each) => ({ text: each.name(), meaning: each.summary() || each.description() }));
  const options = command.createHelp().visibleOptions(command);
  const flags = options.flatMap(({ long, description }) =>
    long == null ? [] : [{ text: long, meaning: description }],
  );
  const own: Place = { path: path.join(' '), words: [...inner, ...flags] };
  return [own, ...command.commands.flatMap((each) => placesOf(each, [...path, each.name()]))];
}

/** The path is rebuilt from the words before the cursor; words that start with "-" and arguments are no part of it. */
function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words }) => `    "${path}") words="${words.map(({ text }) => text).join(' ')}" ;;`);
  const groups = places.filter(({ path }) => path.includes(' ')).map(({ path }) => path.split(' ')[0]);
  return `# Completion of understudy for bash. Load it with: source <(understudy completion bash)
_understudy() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    case "$path" in
      "") path="$word" ;;
      ${[...new Set(groups)].join('|')}) path="$path $word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
  return 0
}
complete -o filenames -F _understudy understudy
`;
}

function zsh(places: readonly Place[]): string {
  const quote = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const line = ({ text, meaning }: Place['words'][number]): string => `'${quote(text)}:${quote(firstLine(meaning))}'`;
  const cases = places.map(({ path, words }) => `    '${path}') words=(${words.map(line).join(' ')}) ;;`);
  const groups = [...new Set(places.filter(({ path }) => path.includes(' ')).map(({ path }) => path.split(' ')[0]))];
  return `#compdef understudy
# Completion of understudy for zsh. Put it into a folder of $fpath as _understudy.
_understudy() {
  local -a words_before words
  local path_here="" word
  words_before=(\${words[2,CURRENT-1]})
  for word in $words_before; do
    [[ $word == -* ]] && continue
    case $path_here in
      '') path_here=$word ;;
      ${groups.join('|')}) path_here="$path_here $word" ;;
    esac
  done
  local -a offered
  words=()
  case $path_here in
${cases.map((each) => each.replace(' words=(', ' offered=(')).join('\n')}
  esac
  _describe 'understudy' offered || _files
}
compdef _understudy understudy
`;
}

function fish(places: readonly Place[]): string {
  const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, words }) => {
    const condition = conditionOf(path, places);
    return words.map(({ text, meaning }) => {
      const what = text.startsWith('--') ? `-l ${text.slice(2)}` : `-a ${quote(text)}`;
      return `complete -c understudy -n ${quote(condition)} ${what} -d ${quote(firstLine(meaning))}`;
    });
  });
  return `# Completion of understudy for fish. Put it into ~/.config/fish/completions/understudy.fish\n${lines.join('\n')}\n`;
}

function conditionOf(path: string, places: readonly Place[]): string {
  if (path === '') return '__fish_use_subcommand';
  const [first = '', second] = path.split(' ');
  if (second !== undefined) return `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
  const inner = places
    .filter((place) => place.path.startsWith(`${first} `))
    .map((place) => place.path.slice(first.length + 1));
  const none = inner.length === 0 ? '' : `; and not __fish_seen_subcommand_from ${inner.join(' ')}`;
  return `__fish_seen_subcommand_from ${first}${none}`;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
