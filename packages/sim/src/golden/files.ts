import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { STORIES, type Story } from './stories.ts';
import { transcript } from './transcript.ts';

const FOLDER = fileURLToPath(new URL('../../../../tests/golden/', import.meta.url));

export const fileOf = (story: Story): string => `${FOLDER}${story.name}.txt`;

/** What is kept of a story; null when nothing is. */
export function keptTranscript(story: Story): string | null {
  try {
    return readFileSync(fileOf(story), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Compares every transcript with what is kept, or writes them anew. Returns the names of those that differ (or differed). */
export function checkTranscripts(mode: 'compare' | 'update'): readonly string[] {
  const differing: string[] = [];
  if (mode === 'update') mkdirSync(FOLDER, { recursive: true });
  for (const story of STORIES) {
    const now = transcript(story);
    if (now === keptTranscript(story)) continue;
    differing.push(story.name);
    if (mode === 'update') writeFileSync(fileOf(story), now);
  }
  return differing;
}
