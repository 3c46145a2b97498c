import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { Attachment } from '../../protocol/attachment.ts';
import type { ExecuteResult, ToolCall } from '../../protocol/hand.ts';
import { type Store, StoreError } from '../../store/store.ts';
import type { ExecuteOutcome } from './provider.ts';

export interface AttachmentDependencies {
  /** Undefined: this worker has none. */
  readonly openStore: (() => Promise<Store>) | undefined;
  readonly attempt: number;
  /** Runs the call in the hand. */
  run(call: ToolCall): Promise<ExecuteOutcome>;
}

/**
 * Runs a call that writes a file whose content is in the store, and takes it out of the store. A
 * file that the hand does not get costs the model that file: the rest of the result it has.
 */
export async function writeAttachment(
  call: ToolCall,
  attachment: Attachment,
  { openStore, attempt, run }: AttachmentDependencies,
): Promise<ExecuteResult> {
  if (openStore === undefined) return withoutFile(attachment, 'this hands worker has no store');
  try {
    const store = await openStore();
    const content = await readContent(store, attachment);
    // Gone from the store, it is in the hand: the attempt before had come so far.
    if (content === undefined && attempt > 1) return { events: [attachment.result] };
    if (content === undefined) return withoutFile(attachment, 'it is not in the store any more');
    const outcome = await run({ ...call, input: { ...call.input, content } });
    if (!outcome.is_error) await store.delete(attachment.key);
    return outcome.is_error ? refused(attachment, outcome) : { events: [attachment.result] };
  } catch (error) {
    // A store that is away may come back, for the next attempt.
    if (!(error instanceof StoreError) || error.problem === 'unreachable') throw error;
    return withoutFile(attachment, error.message);
  }
}

async function readContent(store: Store, { key, sha256 }: Attachment): Promise<string | undefined> {
  const stream = await store.get(key);
  if (stream === undefined) return undefined;
  const content = await buffer(stream);
  if (createHash('sha256').update(content).digest('hex') === sha256) return content.toString();
  throw new StoreError('refused', `it was spoilt in the store ${store.url}`);
}

function refused(attachment: Attachment, { content, lost }: ExecuteOutcome): ExecuteResult {
  const words = content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
  const result = withoutFile(attachment, words.join(' '));
  return lost === undefined ? result : { ...result, lost };
}

function withoutFile({ result }: Attachment, why: string): ExecuteResult {
  const text = `[The whole result could not be put into a file: ${why}]`;
  return { events: [{ ...result, content: [...(result.content ?? []), { type: 'text', text }] }] };
}
