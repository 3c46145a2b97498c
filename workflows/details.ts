import type { RecordedEvent } from '../protocol/session-event.ts';
import type { UserEvent } from '../protocol/user-event.ts';
import { describeInput } from './describe-input.ts';

const MAX_DETAILS_CHARACTERS = 6_000;
const MAX_ENTRY_CHARACTERS = 1_200;
const CARRIED_CHARACTERS = 1_200;

/**
 * The readable tail of the conversation, Markdown, for the workflow's current details in the Web
 * UI. Characters are counted, of at most 3 bytes each in UTF-16 terms, so it stays under 20 kB.
 */
export class Details {
  private readonly heading: string;
  private entries: string[];

  /** The title heads the details, since a workflow's static summary does not survive a roll-over. */
  constructor(title: string | null, carried: string) {
    this.heading = title === null ? '' : `# ${title}\n\n`;
    this.entries = carried === '' ? [] : [carried];
  }

  add(event: UserEvent | RecordedEvent): void {
    const entry = describe(event);
    if (entry === undefined) return;
    this.entries.push(clip(entry, MAX_ENTRY_CHARACTERS));
    let size = this.entries.reduce((sum, text) => sum + text.length + 2, 0);
    while (size > MAX_DETAILS_CHARACTERS && this.entries.length > 1) {
      size -= (this.entries.shift()?.length ?? 0) + 2;
    }
  }

  text(): string {
    return this.heading + this.entries.join('\n\n');
  }

  /** What a roll-over takes along. */
  carried(): string {
    return this.entries.join('\n\n').slice(-CARRIED_CHARACTERS);
  }
}

function describe(event: UserEvent | RecordedEvent): string | undefined {
  switch (event.type) {
    case 'user.message':
      return `**user:** ${textOf(event.content)}`;
    case 'user.interrupt':
      return '**user interrupted**';
    case 'user.tool_confirmation':
      return `**user ${event.result === 'allow' ? 'allowed' : 'denied'}** ${event.tool_use_id}`;
    case 'agent.message':
      return `**agent:** ${textOf(event.content)}`;
    case 'agent.tool_use':
    case 'agent.custom_tool_use':
      return `\`${event.name}\` ${describeInput(event.input)}`;
    case 'agent.mcp_tool_use':
      return `\`${event.mcp_server_name}: ${event.name}\` ${describeInput(event.input)}`;
    case 'agent.tool_result':
    case 'agent.mcp_tool_result':
      return `> ${clip(textOf(event.content ?? []), 300).replaceAll('\n', '\n> ')}`;
    case 'session.error':
      return `**error:** ${event.error.message}`;
    default:
      return undefined;
  }
}

function textOf(content: readonly { readonly type: string }[]): string {
  return content
    .map((block) =>
      'text' in block && typeof block.text === 'string' ? block.text : `[${block.type}]`,
    )
    .join('');
}

function clip(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}
