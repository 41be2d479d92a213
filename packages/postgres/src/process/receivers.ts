import { childrenOf, type TitledProcess } from '@understudy/engine/host';

/** A receiver's process title: `postgres: walreceiver streaming 0/3000148`, with the cluster's name before it where one is set. */
function isReceiver(child: TitledProcess): boolean {
  return /(^|[\s:])walreceiver(\s|$)/.test(child.title);
}

/** The receiver processes of a server, by the kernel's list of its children: also one that has not connected yet, which no view shows. */
export async function receiversOf(postmasterPid: number): Promise<readonly TitledProcess[]> {
  return (await childrenOf(postmasterPid)).filter(isReceiver);
}
