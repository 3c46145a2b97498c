import { readFileSync } from 'node:fs';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { describe, expect, test } from 'vitest';
import { project } from '../../log/project.ts';
import { toResource } from '../../log/resource.ts';
import { joinRuns, mergeEvents, type RunLog } from '../../log/run-log.ts';
import { startRun } from '../../log/run-state.ts';
import type { SessionResource } from '../../protocol/session.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';

// Histories recorded by a real server, with the log that they had then. They are a wire format: a
// session that was recorded once must read the same for ever.

interface Golden {
  readonly runs: readonly { readonly events: readonly JsonEvent[] }[];
  readonly log: readonly SessionEvent[];
  readonly session: SessionResource;
}

type JsonEvent = Readonly<Record<string, unknown>> & { readonly eventType: string };

const NAMES = ['every-row', 'reset'];

function load(name: string): Golden {
  const file = new URL(`../histories/log/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'));
}

function projectRuns(golden: Golden, batchSize = Number.POSITIVE_INFINITY): RunLog {
  return joinRuns(
    golden.runs.map((run, index) => {
      const history = historyFromJSON(run).events ?? [];
      let state = startRun(index);
      const events: SessionEvent[] = [];
      for (let from = 0; from < history.length; from += batchSize) {
        const projected = project(state, history.slice(from, from + batchSize));
        state = projected.state;
        mergeEvents(events, projected.events);
      }
      return { state, events };
    }),
  );
}

describe.each(NAMES)('%s', (name) => {
  const golden = load(name);

  test('reads as the log that it had', () => {
    expect(JSON.parse(JSON.stringify(projectRuns(golden).events))).toEqual(golden.log);
  });

  test('event by event, too', () => {
    expect(projectRuns(golden, 1)).toEqual(projectRuns(golden));
  });

  test('gives the resource that it had', () => {
    const resource = toResource(name, projectRuns(golden).state);
    expect(JSON.parse(JSON.stringify(resource))).toEqual({ ...ADDED_SINCE, ...golden.session });
  });
});

test('between them every type of event stands that a session can have', () => {
  const types = NAMES.flatMap((name) => load(name).log.map((event) => event.type));
  expect([...new Set(types)].sort()).toEqual([
    'agent.custom_tool_use',
    'agent.message',
    'agent.tool_result',
    'agent.tool_use',
    'session.error',
    'session.status_idle',
    'session.status_running',
    'session.status_terminated',
    'span.model_request_end',
    'span.model_request_start',
    'user.custom_tool_result',
    'user.interrupt',
    'user.message',
    'user.tool_confirmation',
  ]);
});

/** Fields that resources have gained since, as a session without them has them. */
const ADDED_SINCE = { environments: {}, resources: [], vault_ids: [] };

describe('a history that differs does not pass', () => {
  const replaced = (from: string, to: string) => (golden: Golden) => {
    const text = JSON.stringify(golden.runs);
    expect(text).toContain(from);
    return JSON.parse(text.replace(from, to));
  };
  const without = (eventType: string) => (golden: Golden) => {
    let isDropped = false;
    const runs = golden.runs.map(({ events }) => ({
      events: events.filter((event) => {
        if (isDropped || event.eventType !== eventType) return true;
        isDropped = true;
        return false;
      }),
    }));
    expect(isDropped).toBe(true);
    return runs;
  };

  test.each<[string, string, (golden: Golden) => Golden['runs']]>([
    ['an activity renamed', 'every-row', replaced('"name":"respond"', '"name":"answer"')],
    ['an update renamed', 'every-row', replaced('"name":"send"', '"name":"post"')],
    ['an update id changed', 'every-row', replaced('"updateId":"last-words"', '"updateId":"x"')],
    [
      'a run id changed',
      'reset',
      replaced('"originalExecutionRunId":"01', '"originalExecutionRunId":"02'),
    ],
    ['an input dropped', 'every-row', without('EVENT_TYPE_WORKFLOW_EXECUTION_STARTED')],
    ['a result dropped', 'reset', without('EVENT_TYPE_ACTIVITY_TASK_COMPLETED')],
    ['a failure dropped', 'every-row', without('EVENT_TYPE_ACTIVITY_TASK_FAILED')],
    ['a timeout dropped', 'every-row', without('EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT')],
    ['a signal dropped', 'every-row', without('EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED')],
    ['a status dropped', 'every-row', without('EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES')],
    ['the end dropped', 'every-row', without('EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED')],
    [
      'an admitted update dropped',
      'reset',
      without('EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED'),
    ],
    ['the mark of the reset dropped', 'reset', without('EVENT_TYPE_WORKFLOW_TASK_FAILED')],
  ])('%s', (_what, name, mutate) => {
    const golden = load(name);
    const mutated = { ...golden, runs: mutate(golden) };
    expect(projectRuns(golden).events).toHaveLength(golden.log.length);
    expect(JSON.parse(JSON.stringify(projectRuns(mutated).events))).not.toEqual(golden.log);
  });
});
