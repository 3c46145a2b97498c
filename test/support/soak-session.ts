import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type {
  Client,
  WorkflowHandle,
  WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import type { Requests } from '../../client/requests.ts';
import { sendEvents } from '../../client/send-events.ts';
import type { LogReader } from '../../log/log-reader.ts';
import { sendSignal, upgrade } from '../../protocol/messages.ts';
import type { SessionResource } from '../../protocol/session.ts';
import { TASK_QUEUE } from '../../protocol/task-queue.ts';
import type { SendInput, UserEventInput } from '../../protocol/user-event.ts';
import { randomFrom } from './random-session.ts';
import { waitFor } from './wait-for.ts';
import { type WatchedTail, watchTail } from './watch-tail.ts';

const ask = { type: 'always_ask' } as const;

const AGENT = {
  name: 'soak',
  tools: [
    { type: 'agent_toolset_20260401', configs: [{ name: 'write', permission_policy: ask }] },
    { type: 'custom', name: 'ask', description: 'Asks.', input_schema: { type: 'object' } },
  ],
} as const;

/** A session and all that was done to it. */
export interface SoakSession {
  readonly handle: WorkflowHandleWithFirstExecutionRunId;
  readonly tail: WatchedTail;
  /** Ids of the events of updates that were accepted. */
  readonly accepted: string[];
  /** Ends the random part, then answers whatever waits until the session has nothing to do. */
  finish(): Promise<void>;
}

export interface SoakWorld {
  readonly client: Client;
  readonly requests: Requests;
  readonly log: LogReader;
}

/** Starts a session, and somebody who does anything to it at any moment. */
export async function startSoakSession(world: SoakWorld, seed: number): Promise<SoakSession> {
  const handle = await world.client.workflow.start('session', {
    workflowId: `soak-${seed}-${randomUUID().slice(0, 8)}`,
    taskQueue: TASK_QUEUE.session,
    args: [{ agent: AGENT, initial_events: ['begin'] }],
  });
  const accepted: string[] = [];
  const sender = new Sender(world, handle, accepted, randomFrom(seed));
  let isOver = false;
  const acting = (async () => {
    while (!isOver) await sender.act();
  })();
  return {
    handle,
    accepted,
    tail: watchTail(world.log, handle.workflowId),
    async finish() {
      isOver = true;
      await acting;
      await sender.settle();
    },
  };
}

class Sender {
  readonly #world: SoakWorld;
  readonly #handle: WorkflowHandle;
  readonly #accepted: string[];
  readonly #random: () => number;
  readonly #sent: { readonly id: string; readonly input: SendInput }[] = [];

  constructor(world: SoakWorld, handle: WorkflowHandle, accepted: string[], random: () => number) {
    this.#world = world;
    this.#handle = handle;
    this.#accepted = accepted;
    this.#random = random;
  }

  async act(): Promise<void> {
    await delay(this.#random() * 250);
    const roll = this.#random();
    if (roll < 0.25) await this.#send(`word ${roll}`);
    else if (roll < 0.3) await this.#sendAgain();
    else if (roll < 0.36) await Promise.all(Array.from({ length: 6 }, () => this.#send('at once')));
    else if (roll < 0.46) await this.#send({ type: 'user.interrupt' });
    else if (roll < 0.5) await this.#handle.signal(sendSignal, { type: 'user.interrupt' });
    else if (roll < 0.54) await this.#handle.signal(sendSignal, 'by signal');
    else if (roll < 0.58) await this.#garbage();
    else if (roll < 0.61) await this.#handle.signal(upgrade);
    else if (roll < 0.64) await this.#send([{ type: 'user.interrupt' }, 'instead']);
    else await this.#answerSome();
  }

  /** Answers all that waits until nothing does, and a last message has been answered. */
  async settle(): Promise<void> {
    await waitFor(`${this.#handle.workflowId} to rest`, () => this.#isAtRest(), 60_000);
    await waitFor('the last word', () => this.#send('the last word'), 60_000);
    await waitFor(`${this.#handle.workflowId} to end`, () => this.#isAtRest(), 60_000);
  }

  async #isAtRest(): Promise<boolean> {
    const session = await this.#session();
    for (const id of session.pending_actions) await this.#answer(id);
    if (session.status !== 'idle' || session.pending_actions.length > 0) return false;
    const events = await this.#world.log.read(this.#handle.workflowId, { order: 'desc', limit: 1 });
    return events[0]?.type === 'session.status_idle';
  }

  async #answerSome(): Promise<void> {
    const { pending_actions } = await this.#session();
    for (const id of pending_actions) {
      if (this.#random() < 0.6) await this.#answer(id);
    }
  }

  /** Whichever kind of call it is: the other one is refused. */
  async #answer(id: string): Promise<void> {
    const result = this.#random() < 0.7 ? 'allow' : 'deny';
    await this.#send({ type: 'user.tool_confirmation', tool_use_id: id, result });
    await this.#send({ type: 'user.custom_tool_result', custom_tool_use_id: id, content: 'so' });
  }

  async #garbage(): Promise<void> {
    const kinds: unknown[] = [
      7,
      { type: 'user.mesage' },
      { type: 'user.tool_confirmation', tool_use_id: 'toolu_none', result: 'allow' },
      { type: 'user.custom_tool_result', custom_tool_use_id: '__proto__', content: 'x' },
    ];
    const one = kinds[Math.floor(this.#random() * kinds.length)] as UserEventInput;
    await this.#handle.signal(sendSignal, one);
    await this.#send(one);
  }

  async #sendAgain(): Promise<void> {
    const earlier = this.#sent[Math.floor(this.#random() * this.#sent.length)];
    if (earlier !== undefined) await this.#update(earlier.id, earlier.input);
  }

  async #send(input: SendInput): Promise<boolean> {
    const id = randomUUID();
    const isAccepted = await this.#update(id, input);
    if (isAccepted) this.#sent.push({ id, input });
    return isAccepted;
  }

  /** Whether it was accepted. Most refusals are right, and the log must hold whatever was said. */
  async #update(updateId: string, input: SendInput): Promise<boolean> {
    try {
      const { workflowId } = this.#handle;
      const { event_ids } = await sendEvents(this.#world, workflowId, input, { id: updateId });
      this.#accepted.push(...event_ids);
      return true;
    } catch {
      return false;
    }
  }

  #session(): Promise<SessionResource> {
    return this.#world.log.session(this.#handle.workflowId);
  }
}
