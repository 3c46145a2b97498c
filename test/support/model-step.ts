import Anthropic from '@anthropic-ai/sdk';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createModelActivities } from '../../activities/model/activities.ts';
import { AgentDefinition, type AgentInput } from '../../protocol/agent.ts';
import { historyEventId } from '../../protocol/ids.ts';
import type { RespondProgress, RespondResult } from '../../protocol/model-step.ts';
import type {
  RecordedEvent,
  SessionEvent,
  SessionEventBody,
} from '../../protocol/session-event.ts';

export const RUN_ID = '0b6c4d6e-0000-4000-8000-000000000001';

/** A log that a test writes by hand, with ids and positions as the projection gives them. */
export interface WrittenLog {
  readonly events: readonly SessionEvent[];
  add(...bodies: (SessionEventBody & { readonly id?: string })[]): WrittenLog;
  user(text: string): WrittenLog;
  /** A finished model request: its start, what came with it, and its end. */
  step(result: RespondResult | readonly RecordedEvent[]): WrittenLog;
  result(toolUseId: string, text: string): WrittenLog;
}

export function writeLog(): WrittenLog {
  const events: SessionEvent[] = [];
  const log: WrittenLog = {
    events,
    add: (...bodies) => {
      for (const body of bodies) {
        const number = events.length + 1;
        events.push({
          id: historyEventId(RUN_ID, number, 0),
          position: String(number).padStart(6, '0'),
          processed_at: null,
          ...body,
        });
      }
      return log;
    },
    user: (text) => log.add({ type: 'user.message', content: [{ type: 'text', text }] }),
    step: (result) => {
      // What is in the log went through JSON.
      const copy = JSON.parse(JSON.stringify(result)) as typeof result;
      return log.add(
        { type: 'span.model_request_start' },
        ...('events' in copy ? copy.events : copy),
      );
    },
    result: (toolUseId, text) =>
      log.add({
        type: 'agent.tool_result',
        tool_use_id: toolUseId,
        content: [{ type: 'text', text }],
      }),
  };
  return log;
}

export interface StepOptions {
  readonly url: string;
  readonly events?: readonly SessionEvent[];
  readonly agent?: AgentInput;
  readonly stallTimeoutMs?: number;
  readonly apiKey?: string | null;
  /** Thrown instead of reading the log. */
  readonly readError?: Error;
}

export interface RunningStep {
  readonly environment: MockActivityEnvironment;
  readonly heartbeats: RespondProgress[];
  readonly result: Promise<RespondResult>;
}

/** The real activity, with the real SDK, on a log written by hand. */
export function startStep(options: StepOptions): RunningStep {
  const environment = new MockActivityEnvironment(
    { activityId: '7', workflowExecution: { workflowId: 'a-session', runId: RUN_ID } },
    // Failed attempts are what many tests are about; they need not be told on the terminal.
    { logger: new DefaultLogger('ERROR') },
  );
  const heartbeats: RespondProgress[] = [];
  environment.on('heartbeat', (details: RespondProgress) => heartbeats.push(details));
  const { apiKey = 'rehearsal-key' } = options;
  const activities = createModelActivities({
    anthropic: new Anthropic({ apiKey, authToken: null, baseURL: options.url }),
    log: {
      readStep: async () => {
        if (options.readError !== undefined) throw options.readError;
        return {
          scheduledEventId: 42,
          identityRunId: RUN_ID,
          events: options.events ?? writeLog().user('hello').events,
          agent: {
            id: null,
            version: null,
            definition: AgentDefinition.parse(options.agent ?? {}),
          },
          hands: [],
          mcpTools: {},
          rollOverSuggested: false,
        };
      },
    },
    ...(options.stallTimeoutMs === undefined ? {} : { stallTimeoutMs: options.stallTimeoutMs }),
  });
  const result = environment.run(activities.respond, { step: 1 }) as Promise<RespondResult>;
  return { environment, heartbeats, result };
}

export function runStep(options: StepOptions): Promise<RespondResult> {
  return startStep(options).result;
}
