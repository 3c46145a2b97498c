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
  let nextPageToken = new Uint8Array();
  do {
    const page = await workflowService.listWorkflowExecutions({ namespace, nextPageToken });
    for (const { execution = null } of page.executions) {
      const name = `${execution?.workflowId} (run ${execution?.runId})`;
      yield {
        name: `history of ${name}`,
        async *pieces() {
          let token = new Uint8Array();
          do {
            const part = await workflowService.getWorkflowExecutionHistory({
              namespace,
              execution,
              nextPageToken: token,
            });
            yield Buffer.from(History.encode(part.history ?? {}).finish());
            token = Uint8Array.from(part.nextPageToken);
          } while (token.length > 0);
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
    nextPageToken = Uint8Array.from(page.nextPageToken);
  } while (nextPageToken.length > 0);
}
