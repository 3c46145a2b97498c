import { expect, test } from 'vitest';
import { failedEvent } from '../../log/failed-event.ts';
import { TimeoutType } from '../../log/history-event.ts';
import { FAILURE } from '../../protocol/failure.ts';

const untaken = { timeoutFailureInfo: { timeoutType: TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START } };
const vanished = { timeoutFailureInfo: { timeoutType: TimeoutType.TIMEOUT_TYPE_HEARTBEAT } };
const notSent = { message: 'away', applicationFailureInfo: { type: FAILURE.mcpNotSent } };
const thrown = { message: 'on fire', applicationFailureInfo: { type: 'Error' } };

const mcp = { name: 'callMcpTool', call_id: 'c', server: 's' };
const pushed = { name: 'execute', call_id: 'c', is_pushed: true } as const;
const hand = { name: 'execute', call_id: 'c' };

test.each([
  [mcp, untaken, 'agent.mcp_tool_result', /^Nothing ran: no worker took it/],
  [mcp, notSent, 'agent.mcp_tool_result', /^Nothing ran: away/],
  [mcp, vanished, 'agent.mcp_tool_result', /whether it took effect is not known/],
  [mcp, thrown, 'agent.mcp_tool_result', /whether it took effect is not known: on fire/],
  [pushed, untaken, 'agent.tool_result', /^Nothing ran: no worker took it/],
  [pushed, thrown, 'agent.tool_result', /whether it took effect is not known: on fire/],
  [hand, untaken, 'agent.tool_result', /whether it took effect is not known/],
])('%j with %j → a result of the call', (activity, failure, type, words) => {
  expect(failedEvent(activity, failure)).toMatchObject({
    type,
    is_error: true,
    content: [{ text: expect.stringMatching(words) }],
  });
});

test('a server that nobody asked for its tools → an error of the session, unless interrupted', () => {
  const activity = { name: 'listMcpTools', server: 'tracker' };
  expect(failedEvent(activity, untaken)).toMatchObject({
    type: 'session.error',
    error: { type: 'mcp_connection_failed_error', mcp_server_name: 'tracker' },
  });
  expect(failedEvent(activity, { canceledFailureInfo: {} })).toBeUndefined();
});

test.each([['respond'], ['provision'], ['release'], ['resolve']])('%s → nothing', (name) => {
  expect(failedEvent({ name }, thrown)).toBeUndefined();
});
