import { afterEach, expect, test } from 'vitest';
import { createHandActivities } from '../../activities/hands/activities.ts';
import type { HandInstance } from '../../protocol/hand.ts';
import { getSession, send } from '../../protocol/messages.ts';
import { calls, fromConversation, says } from '../../rehearsal/script.ts';
import { useLocalHands } from '../hand/local-hands.ts';
import { type Harness, startHarness } from '../support/harness.ts';

const hands = useLocalHands();
let harness: Harness;
afterEach(() => harness.stop());

/** Does what the last user message says, which is a command, on the hand that it names. */
const player = fromConversation(({ messages }) => {
  const last = JSON.stringify(messages.at(-1)?.content);
  const [, hand = '', command = ''] = /"text":"(\w+): ([^"]*)"/.exec(last) ?? [];
  if (command === '') return says('Done.');
  return says([calls('bash', { command, ...(hand === 'main' ? {} : { hand }) })]);
});

test('a session uses the sandbox of another one, until its owner ends', async () => {
  harness = await startHarness({
    player,
    hands: createHandActivities({ providers: { local: hands().provider } }),
  });
  const owner = await harness.start({ initial_events: ['main: echo of the owner > file'] });
  const { hands: owned } = await harness.untilIdle(owner);
  const passed = {
    type: 'hand',
    ...(owned['main'] as HandInstance),
    task_queue: harness.handsQueue,
  };
  const borrower = await harness.start({
    initial_events: ['shared: cat file; echo and of the borrower >> file'],
    hands: { shared: passed },
  });
  await harness.untilIdle(borrower);
  const resultsOf = async (id: string) => {
    const results = await harness.log.read(id, { types: ['agent.tool_result'] });
    return results.map((event) => JSON.stringify(event));
  };
  expect((await resultsOf(borrower.workflowId)).at(-1)).toContain('of the owner');
  const again = await owner.executeUpdate(send, { args: ['main: cat file'] });
  expect(again.event_ids).toHaveLength(1);
  await harness.untilIdle(owner);
  expect((await resultsOf(owner.workflowId)).at(-1)).toMatch(/of the owner\\nand of the borrower/);
  await owner.cancel();
  await expect(owner.result()).rejects.toThrow();
  await borrower.executeUpdate(send, { args: ['shared: cat file'] });
  await harness.untilIdle(borrower);
  const lost = (await resultsOf(borrower.workflowId)).at(-1);
  expect(lost).toContain(`hand \\"main\\" of session ${owner.workflowId}. Further calls`);
  expect((await borrower.query(getSession)).hands).toEqual({});
  await borrower.cancel();
});
