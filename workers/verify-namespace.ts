import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES } from '../protocol/search-attributes.ts';

const SECONDS_PER_DAY = 86_400;
const MIN_RETENTION_DAYS = 30;

/**
 * Sessions write these attributes: where one is missing every workflow task would fail for ever,
 * so a worker refuses to poll.
 *
 * @throws Error naming the command that registers what is missing.
 */
export async function verifySearchAttributes(
  connection: NativeConnection,
  namespace: string,
): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  const missing = Object.values(SEARCH_ATTRIBUTES)
    .map(({ name }) => name)
    .filter((name) => customAttributes?.[name] !== keyword);
  if (missing.length === 0) return;
  const flags = missing.map((name) => `--name ${name} --type Keyword`).join(' ');
  throw new Error(
    `namespace "${namespace}" lacks the search attributes ${missing.join(', ')} (Keyword). Register them: ` +
      `temporal operator search-attribute create --namespace ${namespace} ${flags}`,
  );
}

/** A warning in words when closed runs, and with them the heads of sessions, vanish early. */
export async function retentionWarning(
  connection: NativeConnection,
  namespace: string,
): Promise<string | undefined> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (seconds === 0 || seconds >= MIN_RETENTION_DAYS * SECONDS_PER_DAY) return undefined;
  return (
    `namespace "${namespace}" keeps closed runs for ${Math.round(seconds / 3_600)} hours only: a session that ` +
    'rolled over loses its older events then. Raise it: ' +
    `temporal operator namespace update --namespace ${namespace} --retention ${MIN_RETENTION_DAYS}d`
  );
}
