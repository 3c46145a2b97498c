import type { Message } from './messages.ts';
import type { MessagesRequest } from './messages-request.ts';

/**
 * Marks what the next requests can read from the prompt cache: tools and system; the last user
 * content; and the user content before, where the request before this one wrote, since the API
 * looks only 20 blocks back from a mark. The API allows four marks.
 */
export function withCacheBreakpoints(request: MessagesRequest): MessagesRequest {
  return {
    ...request,
    ...markInstructions(request),
    messages: markMessages(request.messages),
  };
}

const MARK = { cache_control: { type: 'ephemeral' } } as const;
const MARKED_USER_MESSAGES = 2;

/** The cache reads tools before system, so a mark on system covers both. */
function markInstructions(request: MessagesRequest): Pick<MessagesRequest, 'system' | 'tools'> {
  if (request.system !== undefined) return { system: markLast(request.system) };
  return request.tools === undefined ? {} : { tools: markLast(request.tools) };
}

function markMessages(messages: readonly Message[]): Message[] {
  const users = messages.flatMap(({ role }, index) => (role === 'user' ? [index] : []));
  const marked = new Set(users.slice(-MARKED_USER_MESSAGES));
  return messages.map((message, index) => {
    return marked.has(index) ? { ...message, content: markLast(message.content) } : message;
  });
}

function markLast<Item extends object>(items: readonly Item[]): Item[] {
  return items.map((item, index) => (index === items.length - 1 ? { ...item, ...MARK } : item));
}
