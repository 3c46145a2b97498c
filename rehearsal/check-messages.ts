import { isObject, type JsonObject } from '../protocol/json-object.ts';

interface Message {
  readonly role: string;
  readonly content: readonly JsonObject[];
}

/** What the API finds wrong with the conversation, or undefined. */
export function checkMessages(body: JsonObject): string | undefined {
  const raw = Array.isArray(body['messages']) ? body['messages'].filter(isObject) : [];
  if (raw.length === 0) return 'messages: at least one message is required';
  const unknownRole = raw.find(({ role }) => role !== 'user' && role !== 'assistant');
  if (unknownRole !== undefined) {
    return `messages: Unexpected role "${unknownRole['role']}". Allowed roles are "user" or "assistant".`;
  }
  const messages = joinNeighbours(raw);
  if (messages[0]?.role !== 'user') return 'messages: first message must use the "user" role';
  for (const [index, message] of messages.entries()) {
    const problem =
      contentProblem(message, index, messages.length) ??
      pairingProblem(message, messages[index + 1], index) ??
      resultProblem(message, messages[index - 1], index);
    if (problem !== undefined) return problem;
  }
  return duplicateProblem(messages) ?? prefillProblem(messages);
}

/** "Consecutive user or assistant turns in your request will be combined into a single turn." */
function joinNeighbours(raw: readonly JsonObject[]): Message[] {
  const messages: { role: string; content: JsonObject[] }[] = [];
  for (const message of raw) {
    const blocks = blocksOf(message['content']);
    const last = messages.at(-1);
    if (last !== undefined && last.role === message['role']) last.content.push(...blocks);
    else messages.push({ role: String(message['role']), content: [...blocks] });
  }
  return messages;
}

function blocksOf(content: unknown): JsonObject[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? content.filter(isObject) : [];
}

function contentProblem(message: Message, index: number, count: number): string | undefined {
  const isFinalAssistant = message.role === 'assistant' && index === count - 1;
  if (message.content.length === 0 && !isFinalAssistant) {
    return `messages.${index}: all messages must have non-empty content except for the optional final assistant message`;
  }
  for (const [position, block] of message.content.entries()) {
    const problem = blockProblem(block, `messages.${index}.content.${position}`);
    if (problem !== undefined) return problem;
  }
  const last = message.content.at(-1)?.['type'];
  const endsInThinking = last === 'thinking' || last === 'redacted_thinking';
  return message.role === 'assistant' && endsInThinking
    ? `messages.${index}: The final block in an assistant message cannot be \`${last}\`.`
    : undefined;
}

function blockProblem(block: JsonObject, path: string): string | undefined {
  switch (block['type']) {
    case 'text':
      if (block['text'] === '') return 'messages: text content blocks must be non-empty';
      return String(block['text']).trim() === ''
        ? 'messages: text content blocks must contain non-whitespace text'
        : undefined;
    case 'thinking':
      return block['signature']
        ? undefined
        : `${path}: Invalid \`signature\` in \`thinking\` block`;
    case 'tool_use':
      return isObject(block['input'])
        ? undefined
        : `${path}.tool_use.input: Input should be a valid dictionary`;
    case 'tool_result':
      return Array.isArray(block['content'])
        ? block['content']
            .filter(isObject)
            .map((inner) => blockProblem(inner, path))
            .find((problem) => problem !== undefined)
        : undefined;
    default:
      return undefined;
  }
}

function idsOf(message: Message | undefined, type: string, key: string): string[] {
  return (message?.content ?? []).flatMap((block) =>
    block['type'] === type ? [String(block[key])] : [],
  );
}

function pairingProblem(
  message: Message,
  next: Message | undefined,
  index: number,
): string | undefined {
  if (message.role !== 'assistant') return undefined;
  const uses = idsOf(message, 'tool_use', 'id');
  // Results count only where they stand first.
  const leading = next?.content.findIndex((block) => block['type'] !== 'tool_result') ?? 0;
  const results = idsOf(
    next && { ...next, content: leading < 0 ? next.content : next.content.slice(0, leading) },
    'tool_result',
    'tool_use_id',
  );
  const missing = uses.filter((id) => !results.includes(id));
  if (missing.length === 0) return undefined;
  return (
    `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ` +
    `${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`
  );
}

function resultProblem(
  message: Message,
  before: Message | undefined,
  index: number,
): string | undefined {
  const uses = idsOf(before, 'tool_use', 'id');
  for (const [position, block] of message.content.entries()) {
    if (block['type'] !== 'tool_result') continue;
    const id = String(block['tool_use_id']);
    if (!uses.includes(id)) {
      return (
        `messages.${index}.content.${position}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${id}. ` +
        'Each `tool_result` block must have a corresponding `tool_use` block in the previous message.'
      );
    }
  }
  const results = idsOf(message, 'tool_result', 'tool_use_id');
  const twice = results.find((id, position) => results.indexOf(id) !== position);
  if (twice === undefined) return undefined;
  return `messages.${index}: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${twice}`;
}

function duplicateProblem(messages: readonly Message[]): string | undefined {
  const ids = messages.flatMap((message) => idsOf(message, 'tool_use', 'id'));
  return new Set(ids).size === ids.length ? undefined : 'messages: `tool_use` ids must be unique';
}

/** A paused answer goes back as the last message; words put into the model's mouth do not. */
function prefillProblem(messages: readonly Message[]): string | undefined {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') return undefined;
  const isPaused = last.content.some(
    ({ type }) => type === 'server_tool_use' || type === 'mcp_tool_use',
  );
  return isPaused
    ? undefined
    : 'This model does not support assistant message prefill. The conversation must end with a user message.';
}
