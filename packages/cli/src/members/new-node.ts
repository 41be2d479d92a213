import { type Address, formatAddress } from '@understudy/agent/client';
import { isMap, parseDocument } from 'yaml';
import { CliError } from '../errors.ts';

/** A further member, as the operator describes it; everything else is taken from a member that is there. */
export interface NewNode {
  readonly member: string;
  readonly api: Address;
  readonly listen: Address;
  /** `server_id`, which MySQL and MariaDB need; null for PostgreSQL. */
  readonly serverId: number | null;
  readonly zone: string | null;
}

/** Files of one host whose names hold the name of its member, and which the new host has under its own name. */
const ownFiles: readonly (readonly string[])[] = [
  ['api', 'tls', 'cert'],
  ['api', 'tls', 'key'],
  ['engine', 'tls', 'cert'],
  ['engine', 'tls', 'key'],
  ['store', 'tls', 'certFile'],
  ['store', 'tls', 'keyFile'],
];

/**
 * The text of a new member's configuration file: that of a present member (comments included), with name, addresses, number and the
 * names of its own certificate files changed.
 *
 * @param text the present member's file, already checked
 */
export function newNodeFile(text: string, present: string, node: NewNode): string {
  const document = parseDocument(text, { prettyErrors: false });
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new CliError('USAGE', "The present member's file is not a list of settings.", {
      next: 'Name the node.yaml of a member.',
    });
  }
  const renamed = (value: unknown): unknown =>
    typeof value === 'string'
      ? value.replaceAll(new RegExp(`(?<![A-Za-z0-9])${present}(?![A-Za-z0-9])`, 'g'), node.member)
      : value;
  document.set('member', node.member);
  const scheme = document.hasIn(['api', 'tls']) ? 'https' : 'http';
  document.setIn(['api', 'listen'], formatAddress(node.api));
  if (document.hasIn(['api', 'advertise']))
    document.setIn(['api', 'advertise'], `${scheme}://${formatAddress(node.api)}`);
  document.setIn(['engine', 'listen'], formatAddress(node.listen));
  if (document.hasIn(['engine', 'advertise'])) document.setIn(['engine', 'advertise'], formatAddress(node.listen));
  if (node.serverId !== null) document.setIn(['engine', 'serverId'], node.serverId);
  for (const path of ownFiles) if (document.hasIn(path)) document.setIn(path, renamed(document.getIn(path)));
  // A tag such as `nofailover` was said of the other member, not of this one.
  document.delete('tags');
  if (node.zone !== null) document.set('tags', { zone: node.zone });
  return document.toString();
}
