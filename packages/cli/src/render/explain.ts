import type { ExplainView, Outlook, StatusView } from '@understudy/agent/client';
import { formatBytes, formatDuration, hanging } from '../output/text.ts';
import type { RenderOptions } from './status.ts';

/** What one member said, or why it said nothing. */
export type Explained =
  | { readonly kind: 'answered'; readonly view: ExplainView }
  | { readonly kind: 'silent'; readonly member: string; readonly why: string };

/** @param outlook of the member whose word counts most; null when none answered */
export function renderExplain(
  explained: readonly Explained[],
  outlook: Outlook | null,
  options: RenderOptions,
): string[] {
  const members = explained.flatMap((each) => [...memberLines(each, options), '']);
  return outlook === null ? members : [...members, ...outlookLines(outlook, options)];
}

function memberLines(explained: Explained, { style, width }: RenderOptions): string[] {
  if (explained.kind === 'silent') {
    return hanging(`${style.bold(explained.member)}  `, `does not answer: ${explained.why}`, width);
  }
  const { view } = explained;
  const line = (label: string, text: string): string[] => hanging(`  ${style.dim(label.padEnd(11))}`, text, width);
  return [
    `${style.bold(view.member)}  ${style.dim(`the same for ${formatDuration(view.sameForMs)}, last decided ${formatDuration(view.agoMs)} ago`)}`,
    ...view.reasons.flatMap((reason, index) => line(index === 0 ? 'reason' : '', `${reason.code}: ${reason.text}`)),
    ...(view.commands.length === 0 ? line('does', 'nothing now') : line('does', view.commands.join(', then '))),
    ...(view.suspicion === null ? [] : line('suspects', view.suspicion.text)),
    ...line('authority', authorityText(view)),
    ...(view.pendingRestart.length === 0 ? [] : line('restart', `needed for ${view.pendingRestart.join(', ')}`)),
    ...line('session', view.session),
    ...line('guard', view.guard),
    ...view.failures
      .slice(-3)
      .flatMap((failure) =>
        line('failed', `${failure.command}, ${formatDuration(failure.agoMs)} ago: ${failure.code}: ${failure.message}`),
      ),
  ];
}

/** That all writes wait, when they do; and how a repair in SQL gets past that. */
export function waitingWrites(status: StatusView, { style, width }: RenderOptions): string[] {
  const { rule, leader, durability, phase } = status;
  if (rule === null || leader === null || phase !== 'open' || durability !== 'sync') return [];
  const streaming = status.members.filter(
    ({ id, receiver }) => rule.members.includes(id) && receiver?.kind === 'streaming',
  ).length;
  if (streaming >= rule.required) return [];
  const repair =
    status.engine === 'postgres'
      ? ' A repair in SQL on it would hang in its own commit: begin the session with "set synchronous_commit = local" (what it writes is not protected).'
      : ' A repair in SQL on it would hang in its own commit too: bring a replica back first.';
  const text = `${streaming} of (${rule.members.join(', ')}) stream, and ${rule.required} must acknowledge: all writes on ${leader} wait.${repair}`;
  return ['', ...hanging(style.yellow('writes: '), text, width)];
}

function authorityText({ authority }: ExplainView): string {
  return authority.kind === 'none'
    ? 'none: a primary here would be stopped'
    : `a primary here may go on for ${formatDuration(Math.max(0, authority.forMs))} without hearing from its agent again`;
}

/** Who would lead next, and why not the others, in the words of the election itself. */
function outlookLines(outlook: Outlook, { style, width }: RenderOptions): string[] {
  if (outlook.kind === 'unknown')
    return [style.bold('If the leader vanished now:'), ...hanging('  ', outlook.why, width)];
  const line = (label: string, verdict: string, text: string): string[] =>
    hanging(`  ${style.dim(label.padEnd(11))}${verdict}: `, text, width);
  const { proof } = outlook;
  const verdict = proof.verdict === 'met' ? style.green('possible') : style.red('not possible');
  return [
    style.bold(`If ${outlook.leader} vanished now:`),
    ...(outlook.paused === 'yes' ? line('paused', style.yellow('nothing'), 'until "understudy resume"; then:') : []),
    ...line('failover', verdict, proofText(proof)),
    ...outlook.candidates.flatMap(({ member, standing, code, why }) => {
      const place = { first: style.green('next'), next: 'not first', out: style.red('no') }[standing];
      return line(member, place, `${why} (${code})`);
    }),
    ...(outlook.losses === undefined
      ? []
      : hanging(`  ${style.dim('survives'.padEnd(11))}`, outlook.losses.text, width)),
  ];
}

function proofText(proof: Extract<Outlook, { kind: 'known' }>['proof']): string {
  switch (proof.kind) {
    case 'seals': {
      const missing = proof.missing.length === 0 ? '' : `; missing: ${proof.missing.join(', ')}`;
      const available = proof.available.length === 0 ? 'none can' : `${proof.available.join(', ')} can`;
      return `${proof.needed} of (${proof.of.join(', ')}) have to seal, and ${available}${missing}`;
    }
    case 'alone':
      return 'it acknowledges alone, so no set of others proves anything; only its own return does, or an operator decides';
    case 'lease':
      return `after its lease has run out (${formatDuration(proof.afterMs)}); up to ${formatBytes(proof.lossMaxBytes)} may be lost`;
  }
}
