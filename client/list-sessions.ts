import type { WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../protocol/search-attributes.ts';
import type { StopReasonType } from '../protocol/session-event.ts';
import { WORKFLOW_TYPE } from '../protocol/workflow-type.ts';
import type { Requests } from './requests.ts';

/** Sessions that all of what is given holds for; by default all of them. */
export interface ListSessionsOptions {
  readonly status?: 'running' | 'idle' | 'terminated';
  /** Id of a registered agent, or the name of an inline one. */
  readonly agent?: string;
  /** Default 100. */
  readonly limit?: number;
}

/** A session as visibility knows it: eventually consistent, without its log. */
export interface SessionListing {
  readonly type: 'session';
  readonly id: string;
  readonly status: 'running' | 'idle' | 'terminated';
  /** Null while it runs, and after it ended. */
  readonly stop_reason: StopReasonType | null;
  readonly agent: string | null;
  /** Title of a session that this client started. */
  readonly title: string | null;
  /** Start of the session's present run; a long session rolls over into new runs. */
  readonly run_started_at: string;
  readonly ended_at: string | null;
}

const DEFAULT_LIMIT = 100;

/** Newest first. */
export async function listSessions(
  requests: Requests,
  options: ListSessionsOptions = {},
): Promise<SessionListing[]> {
  const limit = options.limit ?? DEFAULT_LIMIT;
  return requests.run(undefined, async () => {
    const listings: SessionListing[] = [];
    if (limit < 1) return listings;
    const found = requests.client.workflow.list({ query: toQuery(options), pageSize: limit });
    for await (const execution of found) {
      listings.push(toListing(execution));
      if (listings.length >= limit) break;
    }
    return listings;
  });
}

function toQuery({ status, agent }: ListSessionsOptions): string {
  const conditions = [
    `WorkflowType = '${WORKFLOW_TYPE.session}'`,
    `ExecutionStatus != 'ContinuedAsNew'`,
  ];
  if (status === 'terminated') conditions.push(`ExecutionStatus != 'Running'`);
  else if (status !== undefined) {
    const attribute = SEARCH_ATTRIBUTES.status.name;
    // One that no worker has taken up yet has no status.
    const unset = status === 'running' ? ` OR ${attribute} IS NULL` : '';
    conditions.push(`ExecutionStatus = 'Running'`, `(${attribute} = '${status}'${unset})`);
  }
  if (agent !== undefined) {
    conditions.push(`${SEARCH_ATTRIBUTES.agent.name} = '${agent.replaceAll("'", "''")}'`);
  }
  return conditions.join(' AND ');
}

function toListing(execution: WorkflowExecutionInfo): SessionListing {
  const attributes = execution.typedSearchAttributes;
  const open = execution.status.name === 'RUNNING';
  const status = attributes.get(SEARCH_ATTRIBUTES.status) === 'idle' ? 'idle' : 'running';
  const title = execution.memo?.['title'];
  return {
    type: 'session',
    id: execution.workflowId,
    status: open ? status : 'terminated',
    stop_reason: open
      ? ((attributes.get(SEARCH_ATTRIBUTES.stopReason) as StopReasonType) ?? null)
      : null,
    agent: attributes.get(SEARCH_ATTRIBUTES.agent) ?? null,
    title: typeof title === 'string' ? title : null,
    run_started_at: execution.startTime.toISOString(),
    ended_at: execution.closeTime?.toISOString() ?? null,
  };
}
