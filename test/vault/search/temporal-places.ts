import type { Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import type { Place } from './search-places.ts';

const { History } = temporal.api.history.v1;
const { DescribeWorkflowExecutionResponse } = temporal.api.workflowservice.v1;

/** Histories of all runs of all workflows of a namespace, and what describing them shows, as sent. */
export async function* temporalPlaces(
  { workflowService }: Connection,
  namespace = 'default',
): AsyncGenerator<Place> {
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await workflowService.listWorkflowExecutions({ namespace, nextPageToken });
    for (const { execution } of page.executions ?? []) {
      const name = `${execution?.workflowId} (run ${execution?.runId})`;
      yield {
        name: `history of ${name}`,
        async *pieces() {
          let token: Uint8Array | undefined;
          do {
            const part = await workflowService.getWorkflowExecutionHistory({
              namespace,
              execution,
              nextPageToken: token,
            });
            yield Buffer.from(History.encode(part.history ?? {}).finish());
            token = part.nextPageToken ?? undefined;
          } while (token !== undefined && token.length > 0);
        },
      };
      yield {
        name: `description of ${name}`,
        async *pieces() {
          const described = await workflowService.describeWorkflowExecution({
            namespace,
            execution,
          });
          yield Buffer.from(DescribeWorkflowExecutionResponse.encode(described).finish());
        },
      };
    }
    nextPageToken = page.nextPageToken ?? undefined;
  } while (nextPageToken !== undefined && nextPageToken.length > 0);
}
