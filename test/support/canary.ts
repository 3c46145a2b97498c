import type { Client, WorkflowHandle } from '@temporalio/client';

/** The spellings in which a secret may have been written down. */
export function spellings(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
    return padded.toString('base64').slice(offset === 0 ? 0 : offset + 1, -4);
  });
  return [secret, encodeURIComponent(secret), Buffer.from(secret).toString('hex'), ...base64];
}

/** Everything that a session has put into Temporal, payloads decoded. */
export async function everythingOf(client: Client, handle: WorkflowHandle): Promise<string> {
  const { events } = await client.workflow.getHandle(handle.workflowId).fetchHistory();
  const { raw } = await handle.describe();
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (value instanceof Uint8Array) found.push(Buffer.from(value).toString());
    else if (typeof value === 'string') found.push(value);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk);
  };
  walk([events, raw]);
  return found.join('\n');
}
