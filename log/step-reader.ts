import type { ResolvedAgent } from '../protocol/agent.ts';
import type { McpTools } from '../protocol/mcp.ts';
import { ACTIVITY } from '../protocol/model-step.ts';
import type { SessionEvent } from '../protocol/session-event.ts';
import { type ToolHand, toolHands } from '../protocol/tool-hands.ts';
import { runIdsUpTo } from './chain.ts';
import { AgentUnresolvedError } from './errors/agent-unresolved-error.ts';
import { StepNotFoundError } from './errors/step-not-found-error.ts';
import { eventIdOf, type HistoryEvent } from './history-event.ts';
import {
  createHistorySource,
  type HistorySource,
  type LogDependencies,
  type Run,
} from './history-source.ts';
import { inOrder } from './in-order.ts';
import { startOfEvent } from './position.ts';
import { project } from './project.ts';
import { indexAtOrAfter, joinRuns, mergeEvents, projectRun, type RunLog } from './run-log.ts';
import { identityRunId, mcpToolsBefore, startRun } from './run-state.ts';
import { type CachedLog, createStepCache, type StepCache } from './step-cache.ts';

/** What a model step is allowed to know: the same for every attempt, now and later. */
export interface StepContext {
  /** Event id of the step's own ActivityTaskScheduled. */
  readonly scheduledEventId: number;
  /** Run component for ids of this step's events. */
  readonly identityRunId: string;
  /** The log strictly before that event, whole chain, in log order. */
  readonly events: readonly SessionEvent[];
  readonly agent: ResolvedAgent;
  /** Hands that the toolset's tools can be told to use. */
  readonly hands: readonly ToolHand[];
  /** Tools of the agent's MCP servers, as far as these have been asked. */
  readonly mcpTools: McpTools;
  /** The server has suggested, before that event, that this run continue as new. */
  readonly rollOverSuggested: boolean;
}

export interface StepReader {
  /** @throws StepNotFoundError, AgentUnresolvedError, RunNotRetainedError */
  readStep(at: StepAddress): Promise<StepContext>;
}

export interface StepAddress {
  readonly workflowId: string;
  readonly runId: string;
  readonly activityId: string;
}

const DEFAULT_MAX_CACHED_RUNS = 64;
const READ_CONCURRENCY = 4;

/**
 * Reads what model steps see. Logs are kept, least recently used leave first, so a warm step reads
 * only what its run's history grew by, and a cold one everything.
 *
 * @param deps.maxCachedRuns how many runs' logs to keep. Default: 64, of at most 4 MB of history each
 */
export function createStepReader(
  deps: LogDependencies & { readonly maxCachedRuns?: number | undefined },
): StepReader {
  // A model that is asked without what somebody said would be asked something else.
  const source = createHistorySource({ ...deps, whole: true });
  const cache = createStepCache(deps.maxCachedRuns ?? DEFAULT_MAX_CACHED_RUNS);
  return {
    async readStep(at) {
      const run = { sessionId: at.workflowId, runId: at.runId };
      const known = cache.get(at.runId);
      const log =
        known === undefined
          ? await readWhole(source, cache, run)
          : extend(known, await source.newerThan(run, known.state.last_event_id));
      cache.set(at.runId, log);
      return contextOf(log, at);
    },
  };
}

async function readWhole(source: HistorySource, cache: StepCache, run: Run): Promise<CachedLog> {
  const runIds = await runIdsUpTo(source, run);
  const earlier = await readEarlier(source, cache, { sessionId: run.sessionId, runIds });
  let log: CachedLog = {
    state: startRun(runIds.length - 1, earlier.state.queued, earlier.state.mcp_lists),
    events: earlier.events,
    steps: new Map(),
    suggestedAt: null,
  };
  for await (const page of source.pages(run)) log = extend(log, page);
  return log;
}

/** The runs before the current one. After a roll-over on a warm worker they are all in the cache. */
async function readEarlier(
  source: HistorySource,
  cache: StepCache,
  chain: { readonly sessionId: string; readonly runIds: readonly string[] },
): Promise<RunLog> {
  const { sessionId, runIds } = chain;
  const closed = runIds.slice(0, -1);
  const previous = closed.at(-1);
  const known = previous === undefined ? undefined : cache.get(previous);
  if (previous !== undefined && known !== undefined) {
    const newer = await source.newerThan({ sessionId, runId: previous }, known.state.last_event_id);
    cache.delete(previous);
    return extend(known, newer);
  }
  const runs: RunLog[] = [];
  const read = ([index, runId]: [number, string]) =>
    projectRun(index, source.pages({ sessionId, runId }));
  for await (const log of inOrder([...closed.entries()], READ_CONCURRENCY, read)) runs.push(log);
  return joinRuns(runs);
}

/** A new log; the one given stays as it is, since another attempt may be reading it. */
function extend(log: CachedLog, history: readonly HistoryEvent[]): CachedLog {
  const { state, events } = project(log.state, history);
  const all = [...log.events];
  mergeEvents(all, events);
  const steps = new Map(log.steps);
  let { suggestedAt } = log;
  for (const event of history) {
    if (event.workflowTaskStartedEventAttributes?.suggestContinueAsNew) {
      suggestedAt ??= eventIdOf(event);
    }
    const { activityType, activityId } = event.activityTaskScheduledEventAttributes ?? {};
    if (activityType?.name !== ACTIVITY.respond || !activityId) continue;
    steps.set(activityId, eventIdOf(event));
  }
  return { state, events: all, steps, suggestedAt };
}

function contextOf(log: CachedLog, at: StepAddress): StepContext {
  const { state, events, steps, suggestedAt } = log;
  const scheduledEventId = steps.get(at.activityId);
  if (scheduledEventId === undefined) throw new StepNotFoundError(at);
  if (state.agent === null) throw new AgentUnresolvedError(at.workflowId);
  return {
    scheduledEventId,
    identityRunId: identityRunId(state),
    events: events.slice(
      0,
      indexAtOrAfter(events, startOfEvent(state.run_index, scheduledEventId)),
    ),
    agent: state.agent,
    hands: toolHands(state.agent.definition, state),
    mcpTools: mcpToolsBefore(state, scheduledEventId),
    rollOverSuggested: suggestedAt !== null && suggestedAt < scheduledEventId,
  };
}
