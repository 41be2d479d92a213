import type { RunningServer } from '@understudy/engine/host';
import { readIfThere, removeFile, replaceFile } from '@understudy/engine/host';
import type { Instance } from '../instance.ts';

/**
 * That commits wait for standbys is armed once, and stays so until the list of standbys is emptied. The proof is kept in a file
 * beside the socket, so that an agent which takes the server over need not stop commits for a moment to prove it again.
 */
function nameOf(running: RunningServer): string {
  return `${running.pid} ${running.startTicks}\n`;
}

export async function rememberArmed(instance: Instance, running: RunningServer): Promise<void> {
  instance.facts.of(running.pid).waiting = 'armed';
  await replaceFile(instance.paths.armed, nameOf(running), instance.owner, { durability: 'cached' });
}

/** Called before the list is emptied. */
export async function forgetArmed(instance: Instance, running: RunningServer): Promise<void> {
  await removeFile(instance.paths.armed);
  instance.facts.of(running.pid).waiting = 'unknown';
}

/** Whether an earlier agent proved it for this very process. */
export async function recallArmed(instance: Instance, running: RunningServer): Promise<void> {
  const kept = await readIfThere(instance.paths.armed).catch(() => null);
  if (kept === nameOf(running)) instance.facts.of(running.pid).waiting = 'armed';
}
