import { readFileSync } from 'node:fs';
import type { ContentBlock, ModelStopReason, RecordedEvent } from '../../protocol/session-event.ts';
import { type WrittenLog, writeLog } from './model-step.ts';
import { requestEnd } from './request-end.ts';

type Json = Record<string, unknown>;
interface Turn {
  readonly role: string;
  readonly content: readonly Json[];
  readonly stopReason: ModelStopReason;
}

/**
 * A recorded conversation (`pi` or `claude-code` format) as the log of a session. `onRequest` sees
 * the log before each model request.
 */
export function playRecordedSession(path: string, onRequest: (log: WrittenLog) => void): void {
  const log = writeLog().add({ type: 'session.status_running' });
  let before = 'assistant';
  for (const turn of turnsOf(path)) {
    // Neither recording is complete, and the API takes no answer to an answer.
    if (turn.role === 'assistant' && before === 'assistant') log.user('(a lost message)');
    if (turn.role === 'assistant') addAnswer(log, turn, onRequest);
    else addUser(log, turn);
    before = turn.role;
  }
}

function addAnswer(log: WrittenLog, turn: Turn, onRequest: (log: WrittenLog) => void): void {
  onRequest(log);
  log.add({ type: 'span.model_request_start' });
  if (turn.stopReason === 'interrupted') log.add({ type: 'user.interrupt' });
  log.add(...turn.content.flatMap(toEvents), requestEnd(turn.stopReason));
}

function addUser(log: WrittenLog, turn: Turn): void {
  for (const block of turn.content) {
    if (block['type'] === 'text') log.user(String(block['text']));
    if (block['type'] === 'tool_result') {
      log.result(String(block['tool_use_id']), textOf(block['content']));
    }
  }
}

function turnsOf(path: string): Turn[] {
  const turns: { id: unknown; turn: Turn }[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue;
    const { message, isSidechain } = JSON.parse(line) as { message?: Json; isSidechain?: boolean };
    // A connection that broke left an answer that the next one replaces.
    if (message === undefined || isSidechain === true || message['stopReason'] === 'error')
      continue;
    const id = message['id'];
    const turn = toTurn(message);
    // claude-code writes one record for each block of an answer, with results in between.
    const begun = turns.find((each) => id !== undefined && each.id === id);
    if (begun === undefined) turns.push({ id, turn });
    else begun.turn = { ...turn, content: [...begun.turn.content, ...turn.content] };
  }
  return turns.map(({ turn }) => turn);
}

function toTurn(message: Json): Turn {
  const stopReason = message['stopReason'] === 'aborted' ? 'interrupted' : 'end_turn';
  if (message['role'] === 'toolResult') {
    const { toolCallId, content } = message;
    return {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: toolCallId, content }],
      stopReason,
    };
  }
  const { content } = message;
  const blocks =
    typeof content === 'string' ? [{ type: 'text', text: content }] : (content as Json[]);
  return { role: String(message['role']), content: blocks, stopReason };
}

function toEvents(block: Json): RecordedEvent[] {
  switch (block['type']) {
    case 'text':
      return [
        {
          type: 'agent.message',
          content: [{ type: 'text', text: String(block['text']), citations: null }],
        },
      ];
    case 'thinking':
      return [{ type: 'agent.thinking', block: block as unknown as ContentBlock }];
    case 'toolCall':
    case 'tool_use':
      return [
        {
          type: 'agent.tool_use',
          id: String(block['id']),
          name: String(block['name']),
          input: Object(block['arguments'] ?? block['input']),
          evaluated_permission: 'allow',
        },
      ];
    default:
      return [];
  }
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return (content as Json[]).map((block) => String(block['text'] ?? '')).join('\n');
}
