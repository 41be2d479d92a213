/** The transcripts that teach the protocol are what the code does today. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptTranscripts } from '../src/golden/files.ts';
import { storyOf } from '../src/golden/stories.ts';
import { transcript } from '../src/golden/transcript.ts';

test('there are transcripts', () => {
  assert.ok(keptTranscripts().length > 10);
});

for (const { story, text } of keptTranscripts()) {
  test(`${story.name} happens as it is written down`, () => {
    const now = transcript(story);
    assert.match(now, /promises broken: none/);
    assert.equal(
      now,
      text,
      `tests/golden/${story.name}.txt is out of date. Look at the difference; if it is right: npm run sim -- --golden --update`,
    );
  });
}

test('an input line that cannot be read is named', () => {
  for (const line of ['fault   at 0 ms {"kind":"earthquake"}', 'lasts   long', 'chance  0.5 {}']) {
    assert.throws(() => storyOf('x', `# t\n#\n# l\n\ninput   ${line}\n`), /is no input of a story/);
  }
});
