import {
  ACTIONS,
  type FailoverPhase,
  failoverAction,
  PHASES,
  SENT,
  type Sent,
  SIGNS,
  type Sign,
} from '../../src/index.ts';

const keys = <Key extends string>(of: Readonly<Record<Key, unknown>>): readonly Key[] => Object.keys(of) as Key[];
const phases = keys(PHASES);

/** The failover table as the page in `docs/` shows it. Run by itself, this file prints it. */
export function failoverPage(): string {
  return [
    ...legend('Sign', SIGNS),
    ...legend('Phase', PHASES),
    ...legend('Sent', SENT),
    `| sign | ${keys(SENT).join(' | ')} |`,
    `|---|${keys(SENT)
      .map(() => '---|')
      .join('')}`,
    ...keys(SIGNS).flatMap(rowsOf),
    '',
    '',
  ].join('\n');
}

const legend = (title: string, meanings: Readonly<Record<string, string>>): readonly string[] => [
  `| ${title.toLowerCase()} | means |`,
  '|---|---|',
  ...Object.entries(meanings).map(([key, meaning]) => `| \`${key}\` | ${meaning} |`),
  '',
];

/** One row where the phase makes no difference, otherwise one for each group of phases that agree. */
function rowsOf(sign: Sign): readonly string[] {
  const groups = new Map<string, FailoverPhase[]>();
  for (const phase of phases) {
    const cells = keys(SENT).map((sent: Sent) => failoverAction(sign, phase, sent));
    const text = cells.map((action) => (ACTIONS.includes(action) ? action : '?')).join(' | ');
    groups.set(text, [...(groups.get(text) ?? []), phase]);
  }
  return [...groups].map(
    ([text, of]) => `| \`${sign}\`${of.length === phases.length ? '' : ` (${of.join(', ')})`} | ${text} |`,
  );
}

if (import.meta.main) process.stdout.write(failoverPage());
