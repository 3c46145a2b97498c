import type { FetchLike } from '@modelcontextprotocol/client';
import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../protocol/failure.ts';
import type { ExecuteProgress } from '../../protocol/hand.ts';
import type { CallMcpToolInput, McpActivities } from '../../protocol/mcp.ts';
import { mcpResultsFolder } from '../../store/places.ts';
import type { Store } from '../../store/store.ts';
import { outcomeUnknown } from './call-failure.ts';
import { callTool } from './call-tool.ts';
import { createConnections } from './connections.ts';
import type { Authority, Execution, TokenVault } from './credential.ts';
import { listTools } from './list-tools.ts';

/** A killed worker is noticed when this fails to come; the workflow allows 2 s. */
const HEARTBEAT_MS = 400;

export interface McpDependencies {
  readonly vault: TokenVault;
  readonly authority: Authority;
  /** Dials nothing that an operator has not allowed, and follows no redirect. */
  readonly fetch: FetchLike;
  /** For results that are too large for the log. */
  openStore(): Promise<Store>;
  /** Failure type of the attempt before this one; undefined for one that just vanished. */
  lastFailure(activity: ActivityPlace): Promise<string | undefined>;
}

export interface ActivityPlace {
  readonly workflowId: string;
  readonly runId: string;
  readonly activityId: string;
}

/** The activities by which sessions use MCP servers; `close` ends the connections that are held. */
export function createMcpActivities(
  deps: McpDependencies,
): McpActivities & { close(): Promise<void> } {
  const { vault, authority, openStore, lastFailure } = deps;
  const connections = createConnections(deps);
  const access = (context: Context, vaultIds: readonly string[]) => ({
    connections,
    vault,
    authority,
    execution: executionOf(context),
    vaultIds,
    signal: context.cancellationSignal,
  });
  return {
    async listMcpTools(input) {
      const context = Context.current();
      using _beat = startHeartbeat(() => undefined);
      return await listTools(access(context, input.vault_ids), input);
    },
    async callMcpTool(input) {
      const context = Context.current();
      const { attempt, activityId } = context.info;
      const execution = executionOf(context);
      let progress: ExecuteProgress = { call_id: input.call.id, tail: '', output_bytes: 0 };
      using _beat = startHeartbeat(() => progress);
      if (attempt > 1 && (await lastFailure({ ...execution, activityId })) !== FAILURE.mcpNotSent) {
        return outcomeUnknown(input.call.id);
      }
      return await callTool(
        {
          ...access(context, input.vault_ids),
          attempt,
          spillPlace: { openStore, folder: resultsFolder(execution, input) },
          onProgress: (tail) => {
            progress = { ...progress, tail };
          },
        },
        input,
      );
    },
    close: () => connections.close(),
  };
}

/** A worker from before this one said nothing of the chain: the results of a session stay there. */
function resultsFolder(
  { workflowId: sessionId }: Execution,
  { chain_id: chainId = '' }: CallMcpToolInput,
): string {
  return mcpResultsFolder({ chainId, sessionId });
}

function executionOf({ info }: Context): Execution {
  const { workflowExecution, workflowType } = info;
  if (workflowExecution === undefined || workflowType === undefined) {
    throw ApplicationFailure.nonRetryable(
      'MCP servers are used only by activities of a session, whose vaults they are used with',
      FAILURE.sessionInvalidInput,
    );
  }
  return { ...workflowExecution, workflowType };
}

function startHeartbeat(details: () => ExecuteProgress | undefined): Disposable {
  const timer = setInterval(() => heartbeat(details()), HEARTBEAT_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
