import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const REACH_TIMEOUT_MS = 5_000;
const DOWNLOAD_TIMEOUT_MS = 300_000;
const SOURCE = 'https://temporal.download';

/**
 * Lets the SDK download its own development server into `folder` (it starts it once in doing so).
 * Returns the binary's path.
 * @throws Error saying why not
 */
export async function downloadWithSdk(folder: string): Promise<string> {
  // The SDK's download has no deadline before the first byte: ask first.
  await fetch(SOURCE, { method: 'HEAD', signal: AbortSignal.timeout(REACH_TIMEOUT_MS) }).catch(
    () => {
      throw new Error(`${SOURCE} cannot be reached`);
    },
  );
  const { TestWorkflowEnvironment } = await import('@temporalio/testing').catch(() => {
    throw new Error('the package @temporalio/testing is not installed');
  });
  const server = await within(
    DOWNLOAD_TIMEOUT_MS,
    TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'cached-download', downloadDir: folder } },
    }),
  );
  await server.teardown();
  const name = (await readdir(folder)).find((file) => file.startsWith('temporal'));
  if (name === undefined) throw new Error('the download left no binary');
  return join(folder, name);
}

async function within<Value>(timeoutMs: number, value: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no download within ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([value, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
