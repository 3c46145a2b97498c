import { describe, expect, test } from 'vitest';
import { createEventPrinter } from '../../client/command-line/event-printer.ts';
import { formatEvent } from '../../client/command-line/format-event.ts';
import { plain } from '../../client/command-line/style.ts';
import type { SessionEvent, SessionEventBody } from '../../protocol/session-event.ts';

function event(body: SessionEventBody | (SessionEventBody & { id: string })): SessionEvent {
  return { id: 'e1', position: '1', processed_at: null, ...body };
}

const text = (words: string) => ({ type: 'text', text: words, citations: null }) as const;
const use = (input: Record<string, unknown>, permission: 'allow' | 'ask' = 'allow') =>
  event({
    type: 'agent.tool_use',
    id: 'toolu_1',
    name: 'bash',
    input,
    evaluated_permission: permission,
  });

describe('an event in words', () => {
  test.each<[string, SessionEvent, string | undefined]>([
    ['message', event({ type: 'agent.message', content: [text('hi')] }), 'agent: hi'],
    [
      'message of several lines',
      event({ type: 'agent.message', content: [text('a\nb')] }),
      'agent:\n  a\n  b',
    ],
    ['tool use', use({ command: 'npm test' }), 'bash: npm test'],
    ['tool use without a subject', use({ x: 1 }), 'bash: {"x":1}'],
    [
      'tool use that asks',
      use({ command: 'rm' }, 'ask'),
      'bash: rm\n  waits for approval: toolu_1',
    ],
    [
      'result',
      event({
        type: 'agent.tool_result',
        tool_use_id: 'toolu_1',
        content: [{ type: 'text', text: 'ok' }],
      }),
      '  | ok',
    ],
    [
      'empty result',
      event({ type: 'agent.tool_result', tool_use_id: 'toolu_1' }),
      '  | (no output)',
    ],
    [
      'denial',
      event({
        type: 'user.tool_confirmation',
        tool_use_id: 'toolu_1',
        result: 'deny',
        deny_message: 'no',
      }),
      'you denied toolu_1: no',
    ],
    [
      'idle that waits',
      event({
        type: 'session.status_idle',
        stop_reason: { type: 'requires_action', event_ids: ['toolu_1'] },
        stop_details: null,
      }),
      'idle: requires_action (toolu_1)',
    ],
    ['span', event({ type: 'span.model_request_start' }), undefined],
  ])('%s', (_name, given, expected) => {
    expect(formatEvent(given, plain)).toBe(expected);
  });

  test('a long result is cut, saying how much is missing', () => {
    const lines = Array.from({ length: 40 }, (_, index) => `line ${index}`).join('\n');
    const content = [{ type: 'text', text: lines }] as const;
    const formatted = formatEvent(
      event({ type: 'agent.tool_result', tool_use_id: 'toolu_1', content: [...content] }),
      plain,
    );
    expect(formatted?.split('\n')).toHaveLength(13);
    expect(formatted).toContain('… 28 more lines');
  });

  test('what a tool wrote cannot steer the terminal', () => {
    const formatted = formatEvent(
      event({
        type: 'agent.message',
        content: [text('\u001b]0;title\u0007\u001b[2Jhi\r\u009b31m')],
      }),
      plain,
    );
    expect(formatted).toBe('agent: ]0;title[2Jhi31m');
  });
});

describe('printing', () => {
  function record(isTTY: boolean) {
    let written = '';
    const output = {
      isTTY,
      columns: 20,
      write: (words: string) => {
        written += words;
      },
    };
    return { printer: createEventPrinter(output), written: () => written };
  }
  const preview = (words: string) =>
    ({
      type: 'event_delta',
      event_id: 'e1',
      delta: { type: 'content_delta', index: 0, content: { type: 'text', text: words } },
    }) as const;
  const started = { type: 'event_start', event: { id: 'e1', type: 'agent.message' } } as const;
  const message = event({ type: 'agent.message', content: [text('hello')] });

  test('piped: plain lines, no previews, a queued event once', () => {
    const { printer, written } = record(false);
    printer.preview(started);
    printer.preview(preview('hel'));
    printer.event(message);
    printer.event(message);
    expect(written()).toBe('agent: hello\n');
  });

  test('results of parallel calls say whose they are, one right under its call does not', () => {
    const { printer, written } = record(false);
    const read = (id: string): SessionEvent => ({ ...use({ file_path: id }), id });
    const answer = (id: string): SessionEvent => ({
      ...event({ type: 'agent.tool_result', tool_use_id: id, content: [text(`of ${id}`)] }),
      id: `result ${id}`,
    });
    for (const each of [read('a'), answer('a'), read('b'), read('c'), answer('c'), answer('b')]) {
      printer.event(each);
    }
    expect(written().split('\n')).toEqual([
      ...['bash: a', '  | of a', 'bash: b', 'bash: c'],
      ...['  | of c', 'result of bash: b', '  | of b', ''],
    ]);
  });

  test('results of MCP tools say whose they are, and of which server', () => {
    const { printer, written } = record(false);
    const call = (id: string): SessionEvent =>
      event({
        type: 'agent.mcp_tool_use',
        id,
        name: 'find',
        mcp_server_name: 'tracker',
        input: { id },
        evaluated_permission: 'allow',
      });
    const answer = (id: string): SessionEvent => ({
      ...event({ type: 'agent.mcp_tool_result', mcp_tool_use_id: id, content: [text(`of ${id}`)] }),
      id: `result ${id}`,
    });
    for (const each of [call('a'), call('b'), answer('b'), answer('a')]) printer.event(each);
    expect(written().split('\n')).toEqual([
      ...['tracker/find: {"id":"a"}', 'tracker/find: {"id":"b"}', '  | of b'],
      ...['result of tracker/find: {"id":"a"}', '  | of a', ''],
    ]);
  });

  test('on a terminal: the preview is one line that the event replaces', () => {
    const { printer, written } = record(true);
    printer.preview(started);
    printer.preview(preview('one two three four five'));
    printer.event(message);
    printer.preview(started);
    const [, , last, rest] = written().split('\r\u001b[K');
    expect(last?.length).toBeLessThan(20);
    expect(last).toMatch(/^….*five$/);
    expect(rest).toMatch(/hello\n$/);
  });

  test('on a terminal: what the session waits for, until it is over', () => {
    const { printer, written } = record(true);
    printer.preview({ type: 'session_waiting', reason: 'no quota' });
    expect(written()).toMatch(/\(no quota\)$/);
    printer.preview({ type: 'session_waiting', reason: null });
    expect(written().endsWith('\r\u001b[K')).toBe(true);
  });

  test('on a terminal: what a call says, in one line, until it has its result', () => {
    const { printer, written } = record(true);
    const said = { type: 'tool_progress', tool_use_id: 'toolu_1', output_bytes: 9 } as const;
    printer.preview({ ...said, tail: 'too early' });
    printer.event(
      event({
        type: 'agent.tool_use',
        id: 'toolu_1',
        name: 'bash',
        input: { command: 'make' },
        evaluated_permission: 'allow',
      }),
    );
    printer.preview({ ...said, tail: 'one\ntwo\n' });
    expect(written()).toMatch(/: one two ?$/);
    printer.event(event({ type: 'agent.tool_result', tool_use_id: 'toolu_1', content: [] }));
    const before = written();
    printer.preview({ ...said, tail: 'too late' });
    expect(written()).toBe(before);
    expect(written()).not.toContain('too');
  });
});
