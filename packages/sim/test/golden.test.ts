/** The transcripts that teach the protocol are what the code does today. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileOf, keptTranscript } from '../src/golden/files.ts';
import { STORIES } from '../src/golden/stories.ts';
import { transcript } from '../src/golden/transcript.ts';

for (const story of STORIES) {
  test(`${story.name} happens as it is written down`, () => {
    const now = transcript(story);
    assert.match(now, /promises broken: none/);
    assert.equal(
      now,
      keptTranscript(story),
      `${fileOf(story)} is out of date. Look at the difference; if it is right: npm run sim -- --golden --update`,
    );
  });
}
