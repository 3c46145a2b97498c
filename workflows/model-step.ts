import { ActivityFailure, isCancellation } from '@temporalio/workflow';
import { DEFAULT_AGENT } from '../protocol/agent.ts';
import { MAIN_HAND } from '../protocol/hand.ts';
import { addUsage } from '../protocol/model-usage.ts';
import type { OpenCall } from '../protocol/session.ts';
import type { ModelRequestEnd, RecordedEvent, StopReason } from '../protocol/session-event.ts';
import { routeCall, toolHands } from '../protocol/tool-hands.ts';
import { respond } from './activities.ts';
import { recordEvents } from './inbox.ts';
import { learnMcpTools, unknownMcpServers } from './mcp-tools.ts';
import type { SessionState } from './session-state.ts';

/** A model that only ever runs into its output limit is stopped after this many answers. */
const MAX_CUT_ANSWERS = 3;

/** How the turn ends once no call is open; undefined while it goes on. */
export type StepEnd = StopReason | undefined;

/** One model request: takes its answer into the state and says whether the turn is over. */
export async function runModelStep(state: SessionState): Promise<StepEnd> {
  state.owesResponse = false;
  // Not awaited for nothing: that could reorder what earlier versions did in one task.
  const unknown = unknownMcpServers(state);
  if (unknown.length > 0) await learnMcpTools(state, unknown);
  state.steps += 1;
  const events = await ask(state);
  if (events === undefined) return { type: 'retries_exhausted' };
  state.noteDetails(events);
  for (const call of openCalls(state, events)) state.calls.set(call.id, call);
  const end = events.find((event) => event.type === 'span.model_request_end');
  if (end === undefined) return { type: 'end_turn' };
  state.usage = addUsage(state.usage, end.model_usage);
  const wasCut = end.stop_reason === 'max_tokens';
  if (hasToolUse(events) && (state.calls.size > 0 || !wasCut)) {
    state.cutAnswers = 0;
    state.owesResponse = true;
    return undefined;
  }
  return endOf(state, end);
}

/** Undefined when the model could not be asked: the log holds the failed activity as an error. */
async function ask(state: SessionState): Promise<readonly RecordedEvent[] | undefined> {
  try {
    const result = await respond.executeWithOptions({ summary: `step ${state.steps}` }, [
      { step: state.steps },
    ]);
    if (result.roll_over_suggested === true) state.rollOverSuggested = true;
    return result.events;
  } catch (error) {
    // An interrupt before the step began: it said nothing.
    if (isCancellation(error)) return [];
    if (error instanceof ActivityFailure) return undefined;
    throw error;
  }
}

async function endOf(state: SessionState, end: ModelRequestEnd): Promise<StepEnd> {
  switch (end.stop_reason) {
    case 'pause_turn':
      state.owesResponse = true;
      return undefined;
    case 'max_tokens':
      return continueCutAnswer(state);
    case 'refusal':
      state.stopDetails = end.stop_details ?? null;
      return { type: 'refusal' };
    case 'model_context_window_exceeded':
      await recordEvents(state, [
        modelError('The conversation no longer fits into the context window of the model.'),
      ]);
      return { type: 'retries_exhausted' };
    default:
      state.cutAnswers = 0;
      return { type: 'end_turn' };
  }
}

async function continueCutAnswer(state: SessionState): Promise<StepEnd> {
  const definition = state.agent?.definition;
  state.cutAnswers += 1;
  const mayContinue = definition?.assumptions.continue_after_max_tokens !== false;
  if (mayContinue && state.cutAnswers <= MAX_CUT_ANSWERS) {
    state.owesResponse = true;
    return undefined;
  }
  state.cutAnswers = 0;
  await recordEvents(state, [
    modelError(
      `The answer was cut at max_tokens (${definition?.max_tokens}). Raise max_tokens of the agent, ` +
        'or send a message to go on.',
    ),
  ]);
  return { type: 'end_turn' };
}

function modelError(message: string): RecordedEvent {
  return {
    type: 'session.error',
    error: {
      type: 'model_request_failed_error',
      message,
      retry_status: { type: 'terminal' },
    },
  };
}

function hasToolUse(events: readonly RecordedEvent[]): boolean {
  return events.some(
    (event) =>
      event.type === 'agent.custom_tool_use' ||
      (event.type === 'agent.tool_use' && !isServerToolUse(event)) ||
      (event.type === 'agent.mcp_tool_use' && !isServerToolUse(event)),
  );
}

type ToolUse = Extract<RecordedEvent, { type: 'agent.tool_use' | 'agent.mcp_tool_use' }>;

/** The API runs it itself. */
function isServerToolUse({ type, block }: ToolUse): boolean {
  return block === undefined ? type === 'agent.mcp_tool_use' : block.type !== 'tool_use';
}

/** Calls of an answer that nobody has answered: server tools and refused calls came with results. */
function openCalls(state: SessionState, events: readonly RecordedEvent[]): OpenCall[] {
  const definition = state.agent?.definition ?? DEFAULT_AGENT;
  const hands = toolHands(definition, state.sessionHands());
  const answered = new Set(events.flatMap(answeredCall));
  return events.flatMap((event): OpenCall[] => {
    if ('id' in event && answered.has(event.id)) return [];
    switch (event.type) {
      case 'agent.custom_tool_use':
        return [{ ...callOf(event), ...routeCall(definition, hands, event), waits_for: 'result' }];
      case 'agent.tool_use':
        if (isServerToolUse(event)) return [];
        return [
          { ...callOf(event), ...routeCall(definition, hands, event), waits_for: waitOf(event) },
        ];
      case 'agent.mcp_tool_use': {
        if (isServerToolUse(event)) return [];
        const { input, mcp_server_name } = event;
        const waits_for = waitOf(event);
        return [{ ...callOf(event), input, hand: MAIN_HAND, waits_for, mcp_server_name }];
      }
      default:
        return [];
    }
  });
}

function answeredCall(event: RecordedEvent): string[] {
  if (event.type === 'agent.tool_result') return [event.tool_use_id];
  return event.type === 'agent.mcp_tool_result' ? [event.mcp_tool_use_id] : [];
}

function callOf({ id, name }: Pick<OpenCall, 'id' | 'name'>): Pick<OpenCall, 'id' | 'name'> {
  return { id, name };
}

function waitOf({ evaluated_permission }: ToolUse): OpenCall['waits_for'] {
  return evaluated_permission === 'ask' ? 'confirmation' : 'ready';
}
