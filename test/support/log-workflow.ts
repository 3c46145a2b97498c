import { ApplicationFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  currentUpdateInfo,
  proxyActivities,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { type AgentDefinition, type AgentReference, DEFAULT_AGENT } from '../../protocol/agent.ts';
import { checkEvents } from '../../protocol/check-events.ts';
import { DEFAULT_ENVIRONMENT } from '../../protocol/environment.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { type HandActivities, type HandInstance, MAIN_HAND } from '../../protocol/hand.ts';
import { userEventId } from '../../protocol/ids.ts';
import { send, sendSignal } from '../../protocol/messages.ts';
import type { BrainActivities } from '../../protocol/model-step.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/search-attributes.ts';
import { type Continued, type OpenCall, SessionInput } from '../../protocol/session.ts';
import type { ModelUsage, RecordedEvent, StopReasonType } from '../../protocol/session-event.ts';
import type { UserEvent } from '../../protocol/user-event.ts';

const brain = proxyActivities<BrainActivities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '10 milliseconds', maximumAttempts: 3 },
});
const hands = proxyActivities<HandActivities>({
  startToCloseTimeout: '500 milliseconds',
  retry: { maximumAttempts: 1 },
});

const NO_USAGE = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** What the workflow holds between steps. */
interface Control {
  readonly carried: Continued;
  readonly input: SessionInput;
  readonly inbox: UserEvent[];
  readonly recent: Map<string, number>;
  readonly calls: Map<string, OpenCall>;
  readonly answers: Map<string, UserEvent>;
  hand: HandInstance | null;
  unseen: number;
  steps: number;
  usage: ModelUsage;
  stopReason: StopReasonType;
}

/**
 * The smallest workflow that writes the wire format of a session, for tests of the log alone. It
 * rolls over after `metadata.steps_per_run` model steps and ends on a user message "end".
 */
export async function session(raw: unknown): Promise<void> {
  const control = await open(raw);
  handleMessages(control);
  for (;;) {
    await condition(() => control.unseen > 0 || control.inbox.length > 0);
    setStatus('running', null);
    await runTurn(control);
    setStatus('idle', control.stopReason);
    if (textOf(control.inbox.splice(0)).includes('end')) return;
    if (control.steps >= Number(control.input.metadata['steps_per_run'] ?? 1e9)) {
      await condition(allHandlersFinished);
      await rollOver(control);
    }
  }
}

async function open(raw: unknown): Promise<Control> {
  const parsed = SessionInput.safeParse(raw);
  if (!parsed.success) {
    throw ApplicationFailure.nonRetryable('invalid input', FAILURE.sessionInvalidInput);
  }
  const input = parsed.data;
  const carried = input.continued ?? (await firstRun(input));
  const initial = input.continued === undefined ? (input.initial_events ?? []) : [];
  return {
    carried,
    input,
    inbox: [...initial],
    recent: new Map(carried.recent_updates.map(({ id, count }) => [id, count])),
    calls: new Map(carried.calls.map((call) => [call.id, call])),
    answers: new Map(),
    hand: carried.hands[MAIN_HAND]?.instance ?? null,
    unseen: initial.length + (carried.owes_response ? 1 : 0),
    steps: 0,
    usage: carried.usage,
    stopReason: 'end_turn',
  };
}

async function firstRun(input: SessionInput): Promise<Continued> {
  const source: AgentDefinition | AgentReference = input.agent ?? DEFAULT_AGENT;
  const agent =
    'type' in source
      ? (await brain.resolve({ agent: source })).agent
      : { id: null, version: null, definition: source };
  if (agent === undefined) throw ApplicationFailure.nonRetryable('no agent');
  return {
    run_index: 0,
    run_ids: [],
    created_at: workflowInfo().startTime.toISOString(),
    agent,
    environment: { id: null, version: null, definition: DEFAULT_ENVIRONMENT },
    status: 'running',
    stop_reason: null,
    stop_details: null,
    owes_response: false,
    cut_answers: 0,
    calls: [],
    hands: {},
    usage: NO_USAGE,
    steps: 0,
    turns: 0,
    recent_updates: [],
    details: '',
  };
}

function handleMessages(control: Control): void {
  const enqueue = (events: readonly UserEvent[]) => {
    for (const event of events) {
      if (event.type === 'user.tool_confirmation') control.answers.set(event.tool_use_id, event);
      else if (event.type === 'user.custom_tool_result') {
        control.answers.set(event.custom_tool_use_id, event);
      } else control.inbox.push(event);
      control.unseen += 1;
    }
  };
  setHandler(
    send,
    (input) => {
      const id = currentUpdateInfo()?.id ?? '';
      const checked = checkEvents(input);
      const events = checked.ok ? checked.events : [];
      const count = control.recent.get(id) ?? events.length;
      if (!control.recent.has(id)) enqueue(events);
      control.recent.set(id, count);
      return { event_ids: Array.from({ length: count }, (_, item) => userEventId(id, item)) };
    },
    {
      validator: (input) => {
        const checked = checkEvents(input);
        if (!checked.ok)
          throw ApplicationFailure.nonRetryable(checked.message, FAILURE.sessionInvalidEvent);
      },
    },
  );
  setHandler(sendSignal, (input) => {
    const checked = checkEvents(input);
    if (checked.ok) enqueue(checked.events);
  });
}

async function runTurn(control: Control): Promise<void> {
  for (;;) {
    control.unseen = 0;
    control.steps += 1;
    try {
      takeAnswer(
        control,
        (await brain.respond({ step: control.carried.steps + control.steps })).events,
      );
    } catch {
      control.stopReason = 'retries_exhausted';
      return;
    }
    if (![...control.calls.values()].every((call) => call.waits_for === 'ready')) {
      setStatus('idle', 'requires_action');
      await condition(() => [...control.calls.values()].every((call) => isAnswered(control, call)));
      setStatus('running', null);
    }
    if (control.calls.size === 0) return;
    await Promise.all([...control.calls.values()].map((call) => runCall(control, call)));
  }
}

function takeAnswer(control: Control, events: readonly RecordedEvent[]): void {
  control.stopReason = 'end_turn';
  for (const event of events) {
    if (event.type === 'agent.tool_use') {
      takeCall(control, event, event.evaluated_permission === 'ask' ? 'confirmation' : 'ready');
    }
    if (event.type === 'agent.custom_tool_use') takeCall(control, event, 'result');
    if (event.type !== 'span.model_request_end') continue;
    if (event.stop_reason === 'refusal') control.stopReason = 'refusal';
    control.usage = sum(control.usage, event.model_usage);
  }
}

function takeCall(
  control: Control,
  { id, name, input }: Pick<OpenCall, 'id' | 'name' | 'input'>,
  waits_for: OpenCall['waits_for'],
): void {
  control.calls.set(id, { id, name, input, waits_for, hand: MAIN_HAND });
}

function sum(one: ModelUsage, other: ModelUsage): ModelUsage {
  return {
    input_tokens: one.input_tokens + other.input_tokens,
    output_tokens: one.output_tokens + other.output_tokens,
    cache_creation_input_tokens:
      one.cache_creation_input_tokens + other.cache_creation_input_tokens,
    cache_read_input_tokens: one.cache_read_input_tokens + other.cache_read_input_tokens,
  };
}

function isAnswered(control: Control, call: OpenCall): boolean {
  return call.waits_for === 'ready' || control.answers.has(call.id);
}

async function runCall(control: Control, call: OpenCall): Promise<void> {
  control.calls.delete(call.id);
  const answer = control.answers.get(call.id);
  if (answer?.type === 'user.custom_tool_result') return;
  if (answer?.type === 'user.tool_confirmation' && answer.result === 'deny') {
    const content = [{ type: 'text' as const, text: 'denied' }];
    const result = {
      type: 'agent.tool_result',
      tool_use_id: call.id,
      content,
      is_error: true,
    } as const;
    await brain.record({ events: [result] });
    return;
  }
  const { workflowId: session_id, firstExecutionRunId: chain_id } = workflowInfo();
  const environment = control.carried.environment;
  const name = { session_id, chain_id, name: MAIN_HAND, generation: 1 };
  control.hand ??= (await hands.provision({ hand: name, environment, resources: [] })).hand;
  const { id, name: tool, input } = call;
  try {
    const result = await hands.execute({
      hand: control.hand,
      session_id,
      call: { id, name: tool, input },
    });
    if (result.lost) control.hand = null;
  } catch {
    // The history says that the call failed; the log makes its result from that.
  }
}

function setStatus(status: 'running' | 'idle', stopReason: StopReasonType | null): void {
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.status, value: status },
    { key: SEARCH_ATTRIBUTES.stopReason, value: stopReason },
  ]);
}

async function rollOver(control: Control): Promise<void> {
  const { carried, input, recent, hand, unseen, steps } = control;
  const { initial_events: _shown, ...rest } = input;
  const continued: Continued = {
    ...carried,
    run_index: carried.run_index + 1,
    run_ids: [...carried.run_ids, workflowInfo().runId],
    status: 'idle',
    stop_reason: { type: 'end_turn' },
    owes_response: unseen > 0,
    steps: carried.steps + steps,
    usage: control.usage,
    hands: hand === null ? {} : { [MAIN_HAND]: { generation: 1, instance: hand } },
    recent_updates: [...recent].map(([id, count]) => ({ id, count })),
  };
  await continueAsNew<typeof session>({ ...rest, continued });
}

function textOf(events: readonly UserEvent[]): string[] {
  return events.flatMap((event) =>
    event.type === 'user.message'
      ? event.content.flatMap((block) => (block.type === 'text' ? [block.text] : []))
      : [],
  );
}
