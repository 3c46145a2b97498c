import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { MessagesRequest } from '../../activities/model/context/messages-request.ts';
import { buildRequest } from '../../activities/model/request.ts';
import { AgentDefinition } from '../../protocol/agent.ts';
import { checkRequest } from '../../rehearsal/check-request.ts';
import type { WrittenLog } from '../support/model-step.ts';
import { playRandomSession } from '../support/random-session.ts';
import { playRecordedSession } from '../support/recorded-session.ts';
import { toSpeaker } from '../support/to-speaker.ts';

const HEADERS = { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' };
const AGENT = AgentDefinition.parse({
  system: 'Be brief.',
  tools: [{ type: 'agent_toolset_20260401' }],
});

/** What the prompt cache compares: everything in order, one block a line, without the marks. */
function cached({ system, tools, messages, ...settings }: MessagesRequest): string {
  const lines: unknown[] = [
    settings,
    ...(tools ?? []),
    ...(system ?? []),
    ...messages.flatMap(({ role, content }) => content.map((block) => [role, block])),
  ];
  const withoutMarks = (key: string, value: unknown) =>
    key === 'cache_control' ? undefined : value;
  return lines.map((line) => `${JSON.stringify(line, withoutMarks)}\n`).join('');
}

/** Checks each request against the API's rules and against the one before. */
function requestChecker() {
  let before = '';
  let requests = 0;
  return {
    onRequest: (log: WrittenLog) => {
      const { request } = buildRequest(toSpeaker(AGENT), log.events);
      const problem = checkRequest(HEADERS, request);
      if (problem !== undefined) throw new Error(`request ${requests}: ${problem.message}`);
      const now = cached(request);
      if (!now.startsWith(before)) throw new Error(`request ${requests} changes what was sent`);
      before = now;
      requests += 1;
    },
    count: () => requests,
  };
}

describe('every request is valid and begins with the one before it', () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed))('random session %i', (seed) => {
    const checker = requestChecker();
    playRandomSession(seed, 40, checker.onRequest);
    expect(checker.count()).toBe(40);
  });

  const fixtures = process.env['DROVER_FIXTURES'];
  describe.skipIf(fixtures === undefined)(
    'recorded sessions (skipped without DROVER_FIXTURES)',
    () => {
      test.each([
        ['pi/large-session.jsonl', 400],
        ['claude-code/258c7280-ae70-4798-800f-63464d01a85d.jsonl', 100],
      ])('%s', { timeout: 60_000 }, (file, atLeast) => {
        const checker = requestChecker();
        playRecordedSession(join(fixtures ?? '', 'trajectories', file), checker.onRequest);
        expect(checker.count()).toBeGreaterThanOrEqual(atLeast);
      });
    },
  );
});
