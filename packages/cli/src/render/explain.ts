import type { ExplainView, StatusView } from '@understudy/agent/client';
import { formatDuration, hanging } from '../output/text.ts';
import type { RenderOptions } from './status.ts';
import { successionOf } from './succession.ts';

/** What one member said, or why it said nothing. */
export type Explained =
  | { readonly kind: 'answered'; readonly view: ExplainView }
  | { readonly kind: 'silent'; readonly member: string; readonly why: string };

export function renderExplain(explained: readonly Explained[], status: StatusView, options: RenderOptions): string[] {
  return [...explained.flatMap((each) => [...memberLines(each, options), '']), ...successionLines(status, options)];
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
    ...(view.suspects === null ? [] : line('suspects', `takes the leader of epoch ${view.suspects} for dead`)),
    ...line('authority', authorityText(view)),
    ...line('session', view.session),
    ...line('guard', view.guard),
    ...view.failures
      .slice(-3)
      .flatMap((failure) =>
        line('failed', `${failure.command}, ${formatDuration(failure.agoMs)} ago: ${failure.code}: ${failure.message}`),
      ),
  ];
}

function authorityText({ authority }: ExplainView): string {
  return authority.kind === 'none'
    ? 'none: a primary here would be stopped'
    : `a primary here may go on for ${formatDuration(Math.max(0, authority.forMs))} without hearing from its agent again`;
}

function successionLines(status: StatusView, { style, width }: RenderOptions): string[] {
  const { prospects, quorum } = successionOf(status);
  const head = status.leader === null ? 'If somebody had to lead now:' : `If ${status.leader} vanished now:`;
  const proof = {
    met: style.green('possible'),
    missing: style.red('not possible'),
    none: style.yellow('after the lease'),
  }[quorum.kind];
  return [
    style.bold(head),
    ...hanging(`  ${style.dim('failover'.padEnd(11))}${proof}: `, quorum.text, width),
    ...prospects.flatMap(({ member, place, why }) => {
      const verdict = { next: style.green('next'), behind: 'not first', out: style.red('no') }[place.kind];
      return hanging(`  ${member.padEnd(11)}${verdict}: `, why, width);
    }),
  ];
}
