import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ResultContent } from '../../protocol/content.ts';
import type { CallMcpToolResult } from '../../protocol/mcp.ts';
import { jsonBytes } from '../../protocol/oversized.ts';
import type { AgentMcpToolResult } from '../../protocol/session-event.ts';
import type { Store } from '../../store/store.ts';
import type { ServerResult } from './result-content.ts';

/** Text of more bytes goes into a file, if there is a hand; images count apart. */
const MAX_TEXT_BYTES = 100_000;
const HEAD_CHARACTERS = 8_000;

export interface SpillPlace {
  /** In the store, for what is of one session. */
  readonly folder: string;
  openStore(): Promise<Store>;
}

type Block = ResultContent[number];

/** The result for the log: as it is, or its head, the whole being in the store for the hand. */
export async function spillResult(
  callId: string,
  result: ServerResult,
  place: SpillPlace | undefined,
): Promise<CallMcpToolResult> {
  const { content, whole, isPartial } = result;
  const isLarge = textBytes(content) > MAX_TEXT_BYTES;
  if (!isLarge && !(isPartial && place !== undefined)) {
    return { events: [toEvent(callId, result, content)] };
  }
  const head = isLarge ? headOf(content) : [...content];
  const bytes = Buffer.byteLength(whole.text);
  if (place === undefined) {
    const note = `[Cut: the whole result is ${bytes} bytes, and there is no file to put it into]`;
    return { events: [toEvent(callId, result, [...head, { type: 'text', text: note }])] };
  }
  const path = `mcp-results/${fileName(callId)}.${whole.extension}`;
  const kind = whole.extension === 'json' ? ' as JSON, binary parts in base64' : '';
  const note = `[The whole result, ${bytes} bytes${kind}, is in the file ${path} of the workspace]`;
  const key = `${place.folder}${randomUUID()}`;
  const store = await place.openStore();
  const { sha256 } = await store.putNew(key, Readable.from([Buffer.from(whole.text)]));
  const told = toEvent(callId, result, [...head, { type: 'text', text: note }]);
  return { events: [], spilled: { path, attachment: { key, bytes, sha256, result: told } } };
}

function toEvent(
  callId: string,
  { isError }: ServerResult,
  content: readonly Block[],
): AgentMcpToolResult {
  return {
    type: 'agent.mcp_tool_result',
    mcp_tool_use_id: callId,
    content: [...content],
    ...(isError ? { is_error: true } : {}),
  };
}

function textBytes(content: readonly Block[]): number {
  return jsonBytes(content.filter(({ type }) => type === 'text'));
}

/** The images, and as much of the text as the model needs to know what it is. */
function headOf(content: readonly Block[]): Block[] {
  let left = HEAD_CHARACTERS;
  return content.flatMap((block): Block[] => {
    if (block.type !== 'text') return [block];
    const text = block.text.slice(0, left).toWellFormed();
    left -= text.length;
    return text === '' ? [] : [{ type: 'text', text }];
  });
}

/** Ids are the model server's: letters and digits as a rule, which nobody promises. */
function fileName(callId: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(callId)) return callId;
  return createHash('sha256').update(callId).digest('hex').slice(0, 32);
}
