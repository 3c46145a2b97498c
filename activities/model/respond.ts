import type Anthropic from '@anthropic-ai/sdk';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { RunNotRetainedError } from '../../log/errors/run-not-retained-error.ts';
import type { StepContext, StepReader } from '../../log/step-reader.ts';
import { FAILURE } from '../../protocol/failure.ts';
import { historyEventId } from '../../protocol/ids.ts';
import type { RespondProgress, RespondResult } from '../../protocol/model-step.ts';
import { type Answer, emptyAnswer } from './answer.ts';
import { toEvents } from './answer-events.ts';
import { isUserInterrupt } from './cancellation.ts';
import { checkResultSize } from './check-result-size.ts';
import { offerMcpTools } from './context/offered-tools.ts';
import { startHeartbeat } from './heartbeat.ts';
import { toModelFailure } from './model-failure.ts';
import { noProgress, toProgress } from './progress.ts';
import { type ReadAnswer, readAnswer } from './read-answer.ts';
import { type BuiltRequest, buildRequest } from './request.ts';
import { toRequestEnd } from './request-end.ts';
import type { Speaker } from './speaker.ts';

export interface RespondDependencies {
  readonly anthropic: Anthropic;
  readonly log: StepReader;
  readonly stallTimeoutMs: number;
}

/** One model request: log → request → answer → events. Heartbeats its progress throughout. */
export async function respond(dependencies: RespondDependencies): Promise<RespondResult> {
  const context = Context.current();
  const { attempt } = context.info;
  // Told on demand: putting it together for every delta would be quadratic in a long answer.
  let progress = (): RespondProgress => noProgress(attempt);
  const heartbeat = startHeartbeat(() => context.heartbeat(progress()));
  try {
    const step = await readStep(dependencies.log, context);
    const speaker = speakerOf(step);
    const built = buildRequest(speaker, step.events);
    const read = await ask(dependencies, built, context, (answer) => {
      progress = () => progressOf(answer, step, speaker, attempt);
      heartbeat.onContent();
    });
    // An interrupt that came after the last word cut nothing.
    const isCut = !read.answer.isFinished && isUserInterrupt(context);
    return toResult(read, { built, step, speaker, isCut });
  } finally {
    heartbeat.stop();
  }
}

/** A run that the server has dropped does not come back; other failures to read may pass. */
async function readStep(log: StepReader, context: Context): Promise<StepContext> {
  try {
    return await log.readStep(ownActivity(context));
  } catch (error) {
    if (!(error instanceof RunNotRetainedError)) throw error;
    throw ApplicationFailure.create({
      type: FAILURE.sessionLogIncomplete,
      message: `The model cannot be asked without the whole log: ${error.message}.`,
      nonRetryable: true,
    });
  }
}

function ownActivity(context: Context): Parameters<StepReader['readStep']>[0] {
  const { workflowExecution, activityId } = context.info;
  if (workflowExecution === undefined) {
    throw ApplicationFailure.nonRetryable(
      'respond runs only as an activity of a session: it reads the log of its own workflow',
      FAILURE.sessionInvalidInput,
    );
  }
  return { ...workflowExecution, activityId };
}

async function ask(
  { anthropic, stallTimeoutMs }: RespondDependencies,
  { request }: BuiltRequest,
  context: Context,
  onProgress: (answer: Answer) => void,
): Promise<ReadAnswer> {
  const signal = context.cancellationSignal;
  // Interrupted before it was sent: asking would only cost.
  if (signal.aborted) return { answer: emptyAnswer(), requestId: null };
  try {
    return await readAnswer(anthropic, request, { signal, stallTimeoutMs, onProgress });
  } catch (error) {
    throw toModelFailure(error, Date.now(), [anthropic.apiKey, anthropic.authToken]);
  }
}

function speakerOf({ agent, hands, mcpTools }: StepContext): Speaker {
  const { definition } = agent;
  return { agent: definition, hands, mcpTools: offerMcpTools(definition, mcpTools) };
}

function progressOf(
  answer: Answer,
  step: StepContext,
  speaker: Speaker,
  attempt: number,
): RespondProgress {
  // Item 0 of the step is its request start; the answer's events follow.
  const eventIdAt = (index: number) =>
    historyEventId(step.identityRunId, step.scheduledEventId, index + 1);
  return toProgress(answer, speaker, attempt, eventIdAt);
}

interface Asked {
  readonly built: BuiltRequest;
  readonly step: StepContext;
  readonly speaker: Speaker;
  readonly isCut: boolean;
}

function toResult(read: ReadAnswer, { built, step, speaker, isCut }: Asked): RespondResult {
  const end = toRequestEnd(read, {
    startId: historyEventId(step.identityRunId, step.scheduledEventId, 0),
    model: built.request.model,
    assumptions: built.assumptions,
    isCut,
  });
  const result: RespondResult = {
    events: [...toEvents(read.answer, speaker), end],
    ...(step.rollOverSuggested ? { roll_over_suggested: true } : {}),
  };
  checkResultSize(result);
  return result;
}
