import { assertNever } from '../../protocol/assert-never.ts';
import type { SessionEvent } from '../../protocol/session-event.ts';
import type { PreviewEvent } from '../previews.ts';
import { formatEvent, nameUse, withoutControls } from './format-event.ts';
import { styleFor } from './style.ts';

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/**
 * Prints a log as it grows; on a terminal also, in one line that is overwritten, what is being said.
 * Elsewhere what is waited for is a line of its own.
 */
export interface EventPrinter {
  event(event: SessionEvent): void;
  preview(event: PreviewEvent): void;
  /** A line of the program's own. */
  line(text: string): void;
}

const DEFAULT_COLUMNS = 80;

export function createEventPrinter(output: Output): EventPrinter {
  const style = styleFor(output);
  const recent = new Set<string>();
  const answered = new Set<string>();
  const uses = new Map<string, string>();
  let lastUse: string | undefined;
  const live = createLiveLine(output);

  /** Of which call a result is, where another call stands above it. */
  function whose(event: SessionEvent): string {
    if (event.type === 'agent.tool_use' || event.type === 'agent.mcp_tool_use') {
      uses.set(event.id, nameUse(event));
      lastUse = event.id;
    }
    const call = answeredCall(event);
    if (call === undefined) return '';
    const use = uses.get(call);
    const isAbove = lastUse === call;
    uses.delete(call);
    lastUse = undefined;
    return use === undefined || isAbove ? '' : `${style('dim', `result of ${use}`)}\n`;
  }

  return {
    event(event) {
      // A queued event comes again when a model step has seen it.
      if (recent.has(event.id)) return;
      recent.add(event.id);
      const call = answeredCall(event);
      if (call !== undefined) answered.add(call);
      if (event.type === 'span.model_request_end') live.end();
      live.finish(event.id);
      const text = formatEvent(event, style);
      if (text === undefined) return;
      live.clear();
      output.write(`${whose(event)}${text}\n`);
    },
    preview(event) {
      if (output.isTTY !== true) {
        if (event.type === 'session_waiting' && event.reason !== null) {
          output.write(`${style('dim', withoutControls(`(${event.reason})`))}\n`);
        }
        return;
      }
      switch (event.type) {
        case 'event_start':
          return live.begin(event.event.id, event.event.type, recent);
        case 'event_delta':
          return live.append(event.event_id, event.delta.content.text);
        case 'tool_progress':
          // The result may have come since the look.
          return recent.has(event.tool_use_id) && !answered.has(event.tool_use_id)
            ? live.note(event.tail)
            : undefined;
        case 'session_waiting':
          return event.reason === null ? live.end() : live.note(`(${event.reason})`);
        default:
          return assertNever(event);
      }
    },
    line(text) {
      live.clear();
      output.write(`${text}\n`);
    },
  };
}

/** The call whose result an event is. */
function answeredCall(event: SessionEvent): string | undefined {
  if (event.type === 'agent.tool_result') return event.tool_use_id;
  return event.type === 'agent.mcp_tool_result' ? event.mcp_tool_use_id : undefined;
}

function createLiveLine(output: Output) {
  let current: { readonly id: string; readonly label: string; text: string } | undefined;
  let shown = false;
  const clear = () => {
    if (shown) output.write('\r\u001b[K');
    shown = false;
  };
  const show = () => {
    if (current === undefined) return;
    const room = (output.columns ?? DEFAULT_COLUMNS) - 1;
    output.write(`\r\u001b[K${lastColumns(`${current.label}: ${current.text}`, room)}`);
    shown = true;
  };
  return {
    clear,
    begin(id: string, type: 'agent.message' | 'agent.thinking', recorded: ReadonlySet<string>) {
      // A look that was under way while the event was recorded.
      if (recorded.has(id)) return;
      current = { id, label: type === 'agent.message' ? 'agent' : 'thinking', text: '' };
      show();
    },
    append(id: string, text: string) {
      if (current?.id !== id) return;
      current.text += withoutControls(text).replace(/\s+/g, ' ');
      show();
    },
    /** Shown until the next thing is. */
    note(text: string) {
      current = { id: '', label: '…', text: withoutControls(text).replace(/\s+/g, ' ') };
      show();
    },
    finish(id: string) {
      if (current?.id === id) current = undefined;
    },
    end() {
      current = undefined;
      clear();
    },
  };
}

const FIRST_WIDE_CHARACTER = '\u1100';

/** The end of a text that fits; a line that wraps could not be overwritten. */
function lastColumns(text: string, room: number): string {
  const shown: string[] = [];
  let columns = 0;
  for (const character of [...text].reverse()) {
    columns += character >= FIRST_WIDE_CHARACTER ? 2 : 1;
    if (columns >= room) return `…${shown.reverse().join('')}`;
    shown.push(character);
  }
  return text;
}
