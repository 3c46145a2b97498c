import { createServer, type Server } from 'node:http';
import type { Worker } from '@temporalio/worker';
import type { Gateway } from './gateway.ts';

export interface HealthOptions {
  readonly port: number;
  /** Null: this process polls for no role. */
  readonly polling: Polling | null;
  /** Null: it is no gateway. */
  readonly gateway: Pick<Gateway, 'whyNotServing'> | null;
}

export interface Polling {
  readonly workers: readonly Pick<Worker, 'getState'>[];
  /** Rejects when the Temporal server does not answer. */
  askTemporal(): Promise<unknown>;
}

const ANSWER_MS = 2_000;

/**
 * Answers whether this process is alive (`/live`: it answers, and its workers have not failed) and
 * whether it takes what comes now (`/ready`: its workers poll, and the Temporal server answers; its
 * gateway serves hands). A server that is away makes a worker unready, which starting it anew would
 * not mend; a gateway serves hosts without it, and without the vault.
 */
export function serveHealth(options: HealthOptions): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = request.url === '/ready' ? whyNotReady(options) : whyNotAlive(options);
    void answer.then((trouble) => {
      response.writeHead(trouble === undefined ? 200 : 503, { 'content-type': 'text/plain' });
      response.end(`${trouble ?? 'ok'}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, () => resolve(server));
  });
}

async function whyNotAlive({ polling }: HealthOptions): Promise<string | undefined> {
  const isFailed = polling?.workers.some((worker) => worker.getState() === 'FAILED') ?? false;
  return isFailed ? 'a worker has failed' : undefined;
}

async function whyNotReady({ polling, gateway }: HealthOptions): Promise<string | undefined> {
  return gateway?.whyNotServing() ?? (polling === null ? undefined : whyNotPolling(polling));
}

async function whyNotPolling({ workers, askTemporal }: Polling): Promise<string | undefined> {
  const states = workers.map((worker) => worker.getState());
  if (states.some((state) => state !== 'RUNNING')) return `workers are ${states.join(', ')}`;
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(resolve, ANSWER_MS, 'the Temporal server does not answer');
  const asked = askTemporal().then(
    () => undefined,
    (error: unknown) => `the Temporal server does not answer: ${wordsOf(error)}`,
  );
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
