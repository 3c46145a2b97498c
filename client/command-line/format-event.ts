import { assertNever } from '../../protocol/assert-never.ts';
import type { ResultContent } from '../../protocol/content.ts';
import type { SessionEvent, StopReason } from '../../protocol/session-event.ts';
import type { Style } from './style.ts';

const MAX_RESULT_LINES = 12;
const MAX_LINE_CHARACTERS = 160;

/** An event as a person reads it, or undefined for one that only programs need. */
export function formatEvent(recorded: SessionEvent, style: Style): string | undefined {
  const event = printable(recorded);
  switch (event.type) {
    case 'user.message':
      return labelled(style('cyan', 'you'), textOf(event.content));
    case 'user.interrupt':
      return style('yellow', 'you interrupted');
    case 'user.tool_confirmation':
      return style('yellow', confirmation(event));
    case 'user.custom_tool_result':
      return result(`result of ${event.custom_tool_use_id}`, event, style);
    case 'agent.message':
      return labelled(style('green', 'agent'), event.content.map(({ text }) => text).join(''));
    case 'agent.thinking':
      return style('dim', labelled('thinking', thought(event.block)));
    case 'agent.tool_use':
    case 'agent.custom_tool_use':
    case 'agent.mcp_tool_use':
      return toolUse(event, style);
    case 'agent.tool_result':
    case 'agent.mcp_tool_result':
      return result('', event, style);
    case 'agent.thread_context_compacted':
      return style('dim', 'the context was compacted');
    case 'session.error':
      return style('red', `error: ${event.error.message} (${event.error.retry_status.type})`);
    case 'session.updated':
      return undefined;
    case 'session.status_running':
      return style('dim', 'running');
    case 'session.status_idle':
      return style('dim', `idle: ${formatStopReason(event.stop_reason)}`);
    case 'session.status_terminated':
      return style('dim', `ended${event.reason === null ? '' : `: ${event.reason}`}`);
    case 'span.model_request_start':
    case 'span.model_request_end':
      return undefined;
    default:
      return assertNever(event);
  }
}

/** `end_turn`, or what the session waits for. */
export function formatStopReason(reason: StopReason): string {
  if (reason.type !== 'requires_action') return reason.type;
  return `requires_action (${reason.event_ids.join(', ')})`;
}

type ToolUse = Extract<
  SessionEvent,
  { type: 'agent.tool_use' | 'agent.custom_tool_use' | 'agent.mcp_tool_use' }
>;

function subjectOf({ input }: Pick<ToolUse, 'input'>): string {
  const subject = input['command'] ?? input['file_path'] ?? input['pattern'];
  return typeof subject === 'string' ? subject : JSON.stringify(input);
}

type Named = Pick<ToolUse, 'name'> & { readonly mcp_server_name?: string };

/** A tool of an MCP server has the server's name before its own. */
function toolOf({ name, mcp_server_name }: Named): string {
  return mcp_server_name === undefined ? name : `${mcp_server_name}/${name}`;
}

/** A tool use in one line. */
export function nameUse(event: Named & Pick<ToolUse, 'input'>): string {
  const [line = ''] = subjectOf(event).split('\n');
  return withoutControls(`${toolOf(event)}: ${shorten(line)}`);
}

function toolUse(event: ToolUse, style: Style): string {
  const { id } = event;
  const words = subjectOf(event);
  const asks = event.type !== 'agent.custom_tool_use' && event.evaluated_permission === 'ask';
  const waits = asks || event.type === 'agent.custom_tool_use';
  const suffix = waits
    ? style('yellow', `\n  waits for ${asks ? 'approval' : 'a result'}: ${id}`)
    : '';
  return `${style('magenta', toolOf(event))}: ${excerpt(words)}${suffix}`;
}

type Confirmation = Extract<SessionEvent, { type: 'user.tool_confirmation' }>;

function confirmation({ result, tool_use_id, deny_message }: Confirmation): string {
  const verb = result === 'allow' ? 'approved' : 'denied';
  const words = deny_message ? `: ${deny_message}` : '';
  return `you ${verb} ${tool_use_id}${words}`;
}

interface Result {
  readonly content?: ResultContent | undefined;
  readonly is_error?: boolean | null | undefined;
}

function result(label: string, { content, is_error }: Result, style: Style): string {
  const words = excerpt(textOf(content ?? [])) || '(no output)';
  return style(is_error ? 'red' : 'dim', labelled(label, words, '  | '));
}

function textOf(content: ResultContent): string {
  return content
    .map((block) => (block.type === 'text' ? block.text : `[${block.type}]`))
    .join('\n');
}

function thought(block: { readonly type: string }): string {
  const words = 'thinking' in block ? String(block.thinking) : '';
  return words === '' ? '…' : excerpt(words);
}

/** The first lines, and how many more there are. */
function excerpt(text: string): string {
  const lines = text.trimEnd().split('\n');
  const shown = lines.slice(0, MAX_RESULT_LINES).map(shorten);
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, `… ${more} more lines`].join('\n') : shown.join('\n');
}

function shorten(line: string): string {
  const characters = [...line];
  if (characters.length <= MAX_LINE_CHARACTERS) return line;
  return `${characters.slice(0, MAX_LINE_CHARACTERS - 1).join('')}…`;
}

function labelled(label: string, text: string, margin = '  '): string {
  const lines = text.trimEnd().split('\n');
  if (label !== '' && lines.length === 1) return `${label}: ${lines[0]}`;
  const body = lines.map((line) => `${margin}${line}`).join('\n');
  return label === '' ? body : `${label}:\n${body}`;
}

/** What a model or a tool wrote must not steer the terminal. */
function printable(event: SessionEvent): SessionEvent {
  return JSON.parse(JSON.stringify(event), (_key, value: unknown) =>
    typeof value === 'string' ? withoutControls(value) : value,
  );
}

export function withoutControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => ('\n\t'.includes(character) ? character : ''));
}
