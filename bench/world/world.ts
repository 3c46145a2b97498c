import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { createDrover, type Drover } from '../../client/connect-drover.ts';
import type { Player } from '../../rehearsal/player.ts';
import { type RehearsalServer, startRehearsalServer } from '../../rehearsal/server.ts';
import { startBenchServer } from './bench-server.ts';

/** What every bench needs: a server, a model server that plays, and a client. Dispose of it. */
export interface World extends AsyncDisposable {
  /** For state, databases and logs; removed in the end. */
  readonly folder: string;
  readonly address: string;
  readonly connection: Connection;
  readonly client: Client;
  readonly drover: Omit<Drover, 'close'>;
  readonly model: RehearsalServer;
  /** Called in the end, last one first. */
  defer(close: () => Promise<void>): void;
}

export interface WorldOptions {
  readonly player: Player;
  readonly settings?: readonly string[];
}

export async function startWorld(options: WorldOptions): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'drover-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { settings = [] } = options;
  const server = await startBenchServer({ folder, settings });
  stack.defer(() => server.stop());
  const model = await startRehearsalServer({ player: options.player });
  stack.defer(() => model.close());
  const connection = await Connection.connect({ address: server.address });
  stack.defer(() => connection.close());
  const client = new Client({ connection });
  const drover = createDrover(client, server.address);
  const owned = stack.move();
  return {
    folder,
    address: server.address,
    connection,
    client,
    drover,
    model,
    defer: (close) => owned.defer(close),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
