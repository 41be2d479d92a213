/** Requests that no honest program sends: those of web pages. Pure. */

import { isIP } from 'node:net';
import { bareHost } from '../config/address.ts';
import type { Caller } from './caller.ts';

export interface RequestHead {
  readonly method: string;
  readonly origin: string | null;
  /** `Sec-Fetch-Site`: how the page that a browser has open is related to this address. */
  readonly fetchSite: string | null;
  readonly host: string | null;
  readonly contentType: string | null;
  readonly hasBody: boolean;
}

export type Objection =
  | { readonly kind: 'browser'; readonly message: string }
  | { readonly kind: 'host'; readonly message: string }
  | { readonly kind: 'content-type'; readonly message: string };

/**
 * What speaks against a request, whoever sent it; null: nothing. A page can make a browser ask any address, also by a name that its owner
 * points here, and the browser then shows what it has: its place on this machine, its certificate.
 *
 * @param names host names by which this agent is reached
 */
export function objectionTo(
  head: RequestHead,
  caller: Pick<Caller, 'by'>,
  names: ReadonlySet<string>,
): Objection | null {
  const { origin, fetchSite } = head;
  if (origin !== null || (fetchSite !== null && fetchSite !== 'none')) {
    return { kind: 'browser', message: 'This API is not for web pages: the request has an Origin.' };
  }
  if (!isOwnHost(head.host, names)) {
    return { kind: 'host', message: `"${head.host ?? ''}" is not a name of this agent.` };
  }
  if (head.hasBody && head.method !== 'GET' && !isJson(head.contentType, caller)) {
    return { kind: 'content-type', message: 'The request body is not labelled as JSON.' };
  }
  return null;
}

/** No name at all (load balancers), an address (nobody can point that elsewhere), or one of the agent's own. */
export function isOwnHost(host: string | null, names: ReadonlySet<string>): boolean {
  if (host === null || host === '') return true;
  const name = host.replace(/:\d{1,5}$/, '').toLowerCase();
  return isIP(bareHost(name)) !== 0 || name === 'localhost' || names.has(name);
}

/** A form is what curl makes of a body; a page can send one as well, but no token with it. */
function isJson(contentType: string | null, { by }: Pick<Caller, 'by'>): boolean {
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type.endsWith('+json')) return true;
  return by === 'token' && (type === 'application/x-www-form-urlencoded' || type === '');
}
