import { type CertificateView, inspectFile, type Validity, validityOf } from '@understudy/certs';
import { type Context, note, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { formatDuration, formatInstant } from '../output/text.ts';
import { certificateJson, namesText } from '../render/certificate.ts';

interface Shown {
  readonly file: string;
  readonly view: CertificateView;
  readonly validity: Validity;
}

/** `understudy cert show FILE…` */
export async function show(context: Context, args: readonly string[]): Promise<ExitCode> {
  const now = Date.now();
  const shown: Shown[] = [];
  for (const file of args) {
    for (const view of await inspectFile(file)) shown.push({ file, view, validity: validityOf(view, now) });
  }
  if (context.format === 'json') {
    printJson(
      context,
      shown.map(({ file, view, validity }) => ({ file, ...certificateJson(view), validity })),
    );
  } else
    print(
      context,
      shown.flatMap((each, index) => [...(index === 0 ? [] : ['']), ...lines(context, each)]),
    );
  for (const { file, validity } of shown.filter((each) => each.validity.kind === 'expires-soon')) {
    const left = validity.kind === 'expires-soon' ? formatDuration(validity.leftMs) : '';
    note(
      context,
      `${context.errStyle.yellow('warning:')} ${file} expires in ${left}. Renew it: understudy cert … --renew`,
    );
  }
  const isGood = shown.every(({ validity }) => validity.kind === 'valid' || validity.kind === 'expires-soon');
  return isGood ? EXIT.done : EXIT.failed;
}

function lines({ style }: Context, { file, view, validity }: Shown): string[] {
  const row = (label: string, text: string): string => `  ${style.dim(label.padEnd(11))}  ${text}`;
  const names = namesText(view.names);
  return [
    style.bold(file),
    row('subject', `${view.subject} (${view.kind})`),
    ...(names === '' ? [] : [row('names', names)]),
    row('signed by', view.kind === 'authority' && view.issuer === view.subject ? 'itself' : view.issuer),
    row('from', formatInstant(view.notBeforeWallMs)),
    row('until', `${formatInstant(view.notAfterWallMs)}, ${stateText(validity, style)}`),
    row('serial', view.serial),
    row('fingerprint', view.fingerprint),
  ];
}

function stateText(validity: Validity, style: Context['style']): string {
  switch (validity.kind) {
    case 'valid':
      return style.green(`in ${formatDuration(validity.leftMs)}`);
    case 'expires-soon':
      return style.yellow(`in ${formatDuration(validity.leftMs)}`);
    case 'expired':
      return style.red(`expired ${formatDuration(validity.agoMs)} ago`);
    case 'not-yet':
      return style.red(`does not hold for another ${formatDuration(validity.inMs)}: is this clock right?`);
  }
}
