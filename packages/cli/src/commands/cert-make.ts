import { type Existing, LOCALHOST, type Made, makeAuthority, makeCertificate } from '@understudy/certs';
import { z } from 'zod';
import { type Context, print, printJson } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { certificateJson, namesText } from '../render/certificate.ts';

const commonSchema = z.object({
  days: z.number().optional(),
  renew: z.boolean().optional(),
  force: z.boolean().optional(),
});
const authoritySchema = commonSchema.extend({ dir: z.string(), name: z.string().optional() });
const leafSchema = commonSchema.extend({ ca: z.string(), name: z.string(), out: z.string() });
const clientSchema = leafSchema.extend({ etcd: z.boolean().default(false) });
const nodeSchema = leafSchema.extend({
  host: z.array(z.string()).default([]),
  ip: z.array(z.string()).default([]),
  localhost: z.boolean().default(false),
});

/** `understudy cert ca` */
export async function ca(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { dir, name, ...rest } = authoritySchema.parse(given);
  const made = await makeAuthority({ folder: dir, ...(name === undefined ? {} : { name }), ...choices(rest) });
  return tell(context, made, 'It signs certificates: keep it off the hosts.');
}

/** `understudy cert node` */
export async function node(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { ca: authority, name, out, host, ip, localhost, ...rest } = nodeSchema.parse(given);
  const own = localhost ? LOCALHOST : { hosts: [], addresses: [] };
  const names = { hosts: [...host, ...own.hosts], addresses: [...ip, ...own.addresses] };
  const made = await makeCertificate({ authority, kind: 'node', name, names, prefix: out, ...choices(rest) });
  return tell(context, made, `It goes to ${name} and nowhere else.`);
}

/** `understudy cert client` */
export async function client(context: Context, _args: readonly string[], given: unknown): Promise<ExitCode> {
  const { ca: authority, name, out, etcd, ...rest } = clientSchema.parse(given);
  const made = await makeCertificate({
    authority,
    kind: 'client',
    name,
    prefix: out,
    ...(etcd ? { namedBy: 'organization' } : {}),
    ...choices(rest),
  });
  return tell(context, made, `It goes to ${name} and nowhere else.`);
}

function choices({ days, renew, force }: z.infer<typeof commonSchema>): { days?: number; existing: Existing } {
  const existing = force === true ? 'replace' : renew === true ? 'renew' : 'refuse';
  return { ...(days === undefined ? {} : { days }), existing };
}

function tell(context: Context, { outcome, files, view }: Made, ofKey: string): ExitCode {
  if (context.format === 'json') printJson(context, { outcome, files, ...certificateJson(view) });
  else {
    const until = new Date(view.notAfterWallMs).toISOString().slice(0, 10);
    const names = namesText(view.names);
    print(context, [
      `${files.cert}  ${outcome === 'made' ? 'made' : 'renewed'}: ${view.subject}${names === '' ? '' : ` (${names})`}, until ${until}`,
      `${files.key}  ${outcome === 'made' ? ofKey : 'is the same as before.'}`,
    ]);
  }
  return EXIT.done;
}
