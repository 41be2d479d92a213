import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Story, storyOf } from './stories.ts';
import { transcript } from './transcript.ts';

const FOLDER = fileURLToPath(new URL('../../../../tests/golden/', import.meta.url));

const fileOf = (name: string): string => `${FOLDER}${name}.txt`;

/** A transcript as it is kept, with the story that it tells. */
export interface Kept {
  readonly story: Story;
  readonly text: string;
}

/** Every transcript there is. A new one is a file with a comment and `input` lines. */
export function keptTranscripts(): readonly Kept[] {
  const names = readdirSync(FOLDER).filter((file) => file.endsWith('.txt'));
  return names.sort().map((file) => {
    const name = file.slice(0, -'.txt'.length);
    const text = readFileSync(fileOf(name), 'utf8');
    return { story: storyOf(name, text), text };
  });
}

/** Runs every story again and compares, or writes what came of it. Returns the names of those that differ (or differed). */
export function checkTranscripts(mode: 'compare' | 'update'): readonly string[] {
  const differing = keptTranscripts().filter(({ story, text }) => transcript(story) !== text);
  if (mode === 'update') for (const { story } of differing) writeFileSync(fileOf(story.name), transcript(story));
  return differing.map(({ story }) => story.name);
}
