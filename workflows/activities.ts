import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { GrantActivities } from '../protocol/grant.ts';
import type { HandActivities } from '../protocol/hand.ts';
import { MCP_CALL_ATTEMPTS, type McpActivities } from '../protocol/mcp.ts';
import type { BrainActivities } from '../protocol/model-step.ts';
import type { PushedTools } from '../protocol/pushed-tool.ts';
import type { StartProofActivities } from '../protocol/start-proof.ts';

/**
 * One proxy per retry and timeout profile. The heartbeat timeout bounds how long a killed worker
 * goes unnoticed; the first retry interval is short because most retries follow such a kill (a
 * model's own wish to wait comes as `nextRetryDelay`).
 */
const HEARTBEAT_TIMEOUT = '2 seconds';

/** A cancelled activity returns what it has so far, so an interrupt loses nothing. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

export const { respond } = proxyActivities<Pick<BrainActivities, 'respond'>>({
  startToCloseTimeout: '2 hours',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType,
  retry: {
    initialInterval: '250 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 12,
  },
});

/**
 * Short work of the brain that always ends: it is retried until it does. It has no heartbeat, so
 * this is how long a worker killed within it goes unnoticed.
 */
export const { record, resolve } = proxyActivities<Pick<BrainActivities, 'record' | 'resolve'>>({
  startToCloseTimeout: '4 seconds',
  retry: { initialInterval: '250 milliseconds', maximumInterval: '10 seconds' },
});

/** Tool calls are journaled in the hand, so they may be retried without end; timeouts are theirs. */
export const { execute } = proxyActivities<Pick<HandActivities, 'execute'>>({
  startToCloseTimeout: '7 days',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType,
  retry: { initialInterval: '250 milliseconds', maximumInterval: '10 seconds' },
});

/** In all, retries included: a hand that is not ready by then fails its calls, in words. */
export const PROVISION_MINUTES = 30;

export const { provision } = proxyActivities<Pick<HandActivities, 'provision'>>({
  scheduleToCloseTimeout: `${PROVISION_MINUTES} minutes`,
  heartbeatTimeout: '6 seconds',
  retry: { initialInterval: '250 milliseconds', maximumInterval: '30 seconds' },
});

/**
 * Bounded: a session does not wait for a hands worker that no longer exists, nor longer than a
 * minute for one that fails; but as long as it takes to collect the files that its hand gave.
 */
export const { release } = proxyActivities<Pick<HandActivities, 'release'>>({
  startToCloseTimeout: '10 minutes',
  scheduleToStartTimeout: '1 minute',
  heartbeatTimeout: '20 seconds',
  retry: {
    initialInterval: '500 milliseconds',
    maximumInterval: '10 seconds',
    maximumAttempts: 8,
  },
});

/** The same where a workspace is kept first, which takes as long as it is large. */
export const { release: releaseKeeping } = proxyActivities<Pick<HandActivities, 'release'>>({
  startToCloseTimeout: '10 minutes',
  scheduleToCloseTimeout: '15 minutes',
  scheduleToStartTimeout: '1 minute',
  heartbeatTimeout: '20 seconds',
  retry: { initialInterval: '500 milliseconds', maximumInterval: '10 seconds' },
});

/** A vault that is down or sealed may come back; a session does not wait for longer. */
export const GRANT_MINUTES = 5;

export const { grant } = proxyActivities<GrantActivities>({
  scheduleToCloseTimeout: `${GRANT_MINUTES} minutes`,
  startToCloseTimeout: '20 seconds',
  retry: { initialInterval: '250 milliseconds', maximumInterval: '5 seconds' },
});

/** A roll-over does not wait for a vault that is away. */
export const { proveStart } = proxyActivities<StartProofActivities>({
  scheduleToCloseTimeout: '30 seconds',
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '250 milliseconds', maximumInterval: '5 seconds' },
});

/** Of a server that does not answer: a turn goes on without its tools. */
export const { listMcpTools } = proxyActivities<Pick<McpActivities, 'listMcpTools'>>({
  scheduleToCloseTimeout: '2 minutes',
  startToCloseTimeout: '90 seconds',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: { initialInterval: '250 milliseconds', maximumInterval: '5 seconds' },
});

/**
 * At most once: what is tried again is a call that failed as surely not sent, or one whose worker
 * vanished; then the next attempt says that the outcome is not known.
 */
export const { callMcpTool } = proxyActivities<Pick<McpActivities, 'callMcpTool'>>({
  scheduleToStartTimeout: '5 minutes',
  startToCloseTimeout: '3 hours',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType,
  retry: {
    initialInterval: '250 milliseconds',
    backoffCoefficient: 4,
    maximumInterval: '5 seconds',
    maximumAttempts: MCP_CALL_ATTEMPTS,
  },
});

/**
 * Somebody's own worker, which need not heartbeat: never tried again, and when it is interrupted
 * nobody waits for it.
 */
export const { execute: executePushed } = proxyActivities<PushedTools>({
  scheduleToStartTimeout: '5 minutes',
  startToCloseTimeout: '1 hour',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { maximumAttempts: 1 },
});
