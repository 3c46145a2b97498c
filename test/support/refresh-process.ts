import { fork } from 'node:child_process';
import { join } from 'node:path';
import { stop } from './dev-server.ts';
import type { RefreshOrder, RefreshReport } from './refresh-child.ts';

export interface RefreshProcess {
  order(order: Omit<RefreshOrder, 'id'>): Promise<readonly string[]>;
  kill(): Promise<void>;
}

/** Another process with the same vault. */
export function startRefreshProcess(variables: Readonly<Record<string, string>>): RefreshProcess {
  const child = fork(join(import.meta.dirname, 'refresh-child.ts'), {
    env: { PATH: process.env['PATH'], ...variables },
    execArgv: [],
  });
  const waiting = new Map<number, (report: RefreshReport) => void>();
  let orders = 0;
  child.on('message', (report: RefreshReport) => {
    waiting.get(report.id)?.(report);
    waiting.delete(report.id);
  });
  return {
    async order(order) {
      orders += 1;
      const { promise, resolve } = Promise.withResolvers<RefreshReport>();
      waiting.set(orders, resolve);
      child.send({ ...order, id: orders } satisfies RefreshOrder);
      const report = await promise;
      if (report.error !== undefined) throw new Error(report.error);
      return report.tokens;
    },
    kill: () => stop(child),
  };
}
