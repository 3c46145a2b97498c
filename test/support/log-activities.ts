import { ApplicationFailure, Context } from '@temporalio/activity';
import type { StepReader } from '../../log/index.ts';
import { DEFAULT_AGENT } from '../../protocol/agent.ts';
import { FAILURE } from '../../protocol/failure.ts';
import type { ExecuteResult, HandActivities } from '../../protocol/hand.ts';
import type { BrainActivities, RespondResult } from '../../protocol/model-step.ts';
import type {
  AgentToolResult,
  ModelRequestEnd,
  RecordedEvent,
  SessionEvent,
} from '../../protocol/session-event.ts';

/**
 * Canned activities in the wire format of a session. What a step answers depends on the last thing
 * in its context: the first word of a user message (`bash`, `pair`, `burst`, `ask`, `custom`, `refuse`, `retry`,
 * `break`), else text.
 */
export function createLogActivities(deps: {
  log: StepReader;
  /** What a step asked to `hold` waits for. */
  released: Promise<void>;
}): BrainActivities & HandActivities {
  return {
    async respond({ step }) {
      const { attempt, activityId, workflowExecution: run } = Context.current().info;
      const { workflowId = '', runId = '' } = run ?? {};
      const { events } = await deps.log.readStep({ workflowId, runId, activityId });
      const last = events.findLast(
        (event) => event.type.startsWith('user.') || event.type === 'agent.tool_result',
      );
      const words = wordsOf(last);
      if (words === 'hold') await Promise.race([deps.released, Context.current().cancelled]);
      return answer(step, attempt, words);
    },
    record: async (input) => input,
    resolve: async ({ agent }) => ({
      agent: { id: agent?.id ?? '', version: 3, definition: DEFAULT_AGENT },
    }),
    provision: async ({ hand }) => ({
      hand: { ...hand, provider: 'canned', instance: `${hand.name}-${hand.generation}` },
    }),
    async execute({ call }): Promise<ExecuteResult> {
      const command = String(call.input['command'] ?? '');
      if (command === 'crash') throw ApplicationFailure.nonRetryable('the hand caught fire');
      if (command === 'stall') await Context.current().cancelled;
      const result: AgentToolResult = {
        type: 'agent.tool_result',
        tool_use_id: call.id,
        content: [{ type: 'text', text: `ran ${command}` }],
      };
      return command === 'lose'
        ? { events: [{ ...result, is_error: true }], lost: true }
        : { events: [result] };
    },
    release: async () => {},
  };
}

function answer(step: number, attempt: number, words: string): RespondResult {
  const [verb, ...rest] = words.split(' ');
  const command = rest.join(' ');
  if (verb === 'break') {
    throw ApplicationFailure.nonRetryable('the model refused the key', FAILURE.modelAuthentication);
  }
  if (verb === 'retry' && attempt === 1) {
    throw ApplicationFailure.retryable('the model is overloaded', FAILURE.modelOverloaded);
  }
  const call = (suffix: string, permission: 'allow' | 'ask') =>
    ({
      type: 'agent.tool_use',
      id: `toolu_${step}${suffix}`,
      name: 'bash',
      input: { command },
      evaluated_permission: permission,
    }) as const;
  if (verb === 'bash') return { events: [call('', 'allow'), end('tool_use')] };
  if (verb === 'ask') return { events: [call('', 'ask'), end('tool_use')] };
  if (verb === 'pair') return { events: [call('a', 'allow'), call('b', 'allow'), end('tool_use')] };
  if (verb === 'burst') {
    const calls = Array.from({ length: Number(command) }, (_, index) => call(`_${index}`, 'allow'));
    return { events: [...calls, end('tool_use')] };
  }
  if (verb === 'custom') {
    const custom = {
      type: 'agent.custom_tool_use',
      id: `toolu_${step}`,
      name: 'lookup',
      input: {},
    } as const;
    return { events: [custom, end('tool_use')] };
  }
  if (verb === 'refuse') return { events: [end('refusal')] };
  return { events: [message(`step ${step}: ${words}`), end('end_turn')] };
}

function message(text: string): RecordedEvent {
  return { type: 'agent.message', content: [{ type: 'text', text, citations: null }] };
}

function end(stopReason: 'end_turn' | 'tool_use' | 'refusal'): ModelRequestEnd {
  return {
    type: 'span.model_request_end',
    model_request_start_id: 'filled in by the projection',
    is_error: false,
    model_usage: {
      input_tokens: 10,
      output_tokens: 2,
      cache_creation_input_tokens: 1,
      cache_read_input_tokens: 5,
    },
    model: 'canned',
    stop_reason: stopReason,
    stop_details:
      stopReason === 'refusal' ? { type: 'refusal', category: 'test', explanation: null } : null,
    request_id: null,
    assumptions: [],
  };
}

function wordsOf(event: SessionEvent | undefined): string {
  if (event?.type !== 'user.message') return 'done';
  return event.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}
