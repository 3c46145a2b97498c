import type { ModelRequestEnd, RecordedEvent } from '../../protocol/session-event.ts';
import { type WrittenLog, writeLog } from './model-step.ts';
import { requestEnd } from './request-end.ts';

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Plays a session as the workflow would let it happen: messages and interrupts at any moment,
 * answers of every kind, results in any order and sometimes twice. `onRequest` sees the log before
 * each model request.
 */
export function playRandomSession(
  seed: number,
  steps: number,
  onRequest: (log: WrittenLog) => void,
): void {
  const session = new RandomSession(seed);
  session.say();
  for (let step = 0; step < steps; step += 1) {
    onRequest(session.log);
    session.step();
  }
}

class RandomSession {
  readonly log = writeLog();
  readonly #random: () => number;
  #calls = 0;
  #words = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.log.add({ type: 'session.status_running' });
  }

  say(): void {
    this.log.user(this.#chance(0.05) ? '  ' : this.#word());
  }

  step(): void {
    this.log.add({ type: 'span.model_request_start' });
    this.#maybeUser();
    // Like an exhausted retry: nothing of the answer is known.
    if (this.#chance(0.05)) {
      this.#idleAndSay();
      return;
    }
    const stopReason = this.#pick(STOP_REASONS);
    const { events, calls } = this.#answer(stopReason);
    this.log.add(...events, requestEnd(stopReason));
    if (stopReason !== 'refusal') this.#results(calls);
    const isOver = stopReason === 'refusal' || stopReason === 'interrupted';
    const goesOn = calls.length > 0 || stopReason === 'pause_turn' || stopReason === 'max_tokens';
    if (isOver || !goesOn) this.#idleAndSay();
  }

  #answer(stopReason: ModelRequestEnd['stop_reason']): {
    events: RecordedEvent[];
    calls: string[];
  } {
    const events: RecordedEvent[] = [];
    const calls: string[] = [];
    if (this.#chance(0.4)) events.push(thinking(this.#word(), this.#chance(0.9) ? 'sig' : ''));
    if (this.#chance(0.7)) events.push(text(this.#chance(0.1) ? '\n' : this.#word()));
    if (stopReason === 'pause_turn' || this.#chance(0.1)) {
      const id = `srvtoolu_${this.#calls++}`;
      events.push(serverCall(id));
      if (stopReason !== 'interrupted') events.push(serverResult(id));
    }
    const count = stopReason === 'tool_use' ? 1 + Math.floor(this.#random() * 4) : 0;
    const wantsCalls = count || (stopReason === 'interrupted' && this.#chance(0.3) ? 1 : 0);
    for (let index = 0; index < wantsCalls; index += 1) {
      const id = `toolu_${this.#calls++}`;
      calls.push(id);
      events.push(call(id));
    }
    return { events, calls };
  }

  #results(calls: readonly string[]): void {
    const shuffled = [...calls].sort(() => this.#random() - 0.5);
    for (const id of shuffled) {
      this.#maybeUser();
      this.log.result(id, this.#chance(0.1) ? '' : this.#word());
      if (this.#chance(0.1)) this.log.result(id, 'too late');
    }
    this.#maybeUser();
  }

  #maybeUser(): void {
    if (this.#chance(0.1)) this.log.add({ type: 'user.interrupt' });
    if (this.#chance(0.15)) this.say();
  }

  #idleAndSay(): void {
    this.log.add({
      type: 'session.status_idle',
      stop_reason: { type: 'end_turn' },
      stop_details: null,
    });
    this.#maybeUser();
    this.say();
    this.log.add({ type: 'session.status_running' });
  }

  #word(): string {
    this.#words += 1;
    return `word ${this.#words}`;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[Math.floor(this.#random() * items.length)] ?? items[0];
  }
}

const STOP_REASONS = [
  'tool_use',
  'tool_use',
  'tool_use',
  'end_turn',
  'end_turn',
  'max_tokens',
  'pause_turn',
  'interrupted',
  'refusal',
] as const;

function thinking(words: string, signature: string): RecordedEvent {
  return { type: 'agent.thinking', block: { type: 'thinking', thinking: words, signature } };
}

function text(words: string): RecordedEvent {
  return { type: 'agent.message', content: [{ type: 'text', text: words, citations: null }] };
}

function call(id: string): RecordedEvent {
  const evaluated_permission = 'allow';
  return { type: 'agent.tool_use', id, name: 'bash', input: { command: id }, evaluated_permission };
}

function serverCall(id: string): RecordedEvent {
  return {
    type: 'agent.tool_use',
    id,
    name: 'web_search',
    input: { query: id },
    evaluated_permission: 'allow',
    block: { type: 'server_tool_use', id, name: 'web_search', input: {} },
  };
}

function serverResult(id: string): RecordedEvent {
  return {
    type: 'agent.tool_result',
    tool_use_id: id,
    block: { type: 'web_search_tool_result', tool_use_id: id, content: [] },
  };
}
