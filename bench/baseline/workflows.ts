import {
  condition,
  defineQuery,
  defineUpdate,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import type { BareActivities } from './bare-activities.ts';
import type { NaiveActivities, NaiveMessage } from './naive-loop.ts';

/**
 * The agent loop that everybody writes first: the messages are the workflow's state, and the whole
 * of them is the input of every model step. Returns when there is no more input.
 */
export async function naiveLoop(): Promise<void> {
  const { respond, execute, nextInput } = proxyActivities<NaiveActivities>({
    startToCloseTimeout: '1 minute',
  });
  const messages: NaiveMessage[] = [];
  for (let index = 0; ; index += 1) {
    const texts = await nextInput(index);
    if (texts === null) return;
    messages.push({ role: 'user', content: texts.map((text) => ({ type: 'text', text })) });
    for (;;) {
      const answer = await respond(messages);
      if (answer.content.length > 0) messages.push({ role: 'assistant', content: answer.content });
      if (answer.calls.length > 0) {
        const results = await Promise.all(answer.calls.map((call) => execute(call)));
        messages.push({ role: 'user', content: results });
      }
      if (!answer.goes_on) break;
    }
  }
}

/** Runs so many empty activities, one after the other, on a queue. */
export const hop = defineUpdate<void, [HopOrder]>('hop');
export const getStarts = defineQuery<readonly number[]>('getStarts');

export interface HopOrder {
  readonly count: number;
  /** Null: the queue of the workflow itself. */
  readonly taskQueue: string | null;
}

/** The least that a durable step can be: an update that asks for empty activities. */
export async function bareLoop(): Promise<void> {
  const options = { startToCloseTimeout: '1 minute' } as const;
  const orders: HopOrder[] = [];
  const starts: number[] = [];
  setHandler(getStarts, () => starts);
  setHandler(hop, (order) => {
    orders.push(order);
  });
  for (;;) {
    await condition(() => orders.length > 0);
    const order = orders.shift();
    if (order === undefined) continue;
    const { empty } = proxyActivities<BareActivities>(
      order.taskQueue === null ? options : { ...options, taskQueue: order.taskQueue },
    );
    for (let index = 0; index < order.count; index += 1) starts.push(await empty());
  }
}
