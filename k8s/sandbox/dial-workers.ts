import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Order, readLine, toOrder, type Visit, writeLine } from '../../hand/visit.ts';

export interface DialOptions {
  /** Folder of the workers' sockets. */
  readonly folder: string;
  visit(): Visit;
  /** Takes a stream that a worker has a use for. */
  onOrder(order: Order, stream: Socket): void;
}

export interface Dialing {
  /** Says anew to each worker who this is. */
  renew(): void;
}

/** Workers come and go; a watch that saw nothing is no proof. */
const LOOK_MS = 1_000;
const REDIAL_MS = 200;

/** Brings one idle stream to each worker, and the next one when that is used. */
export function dialWorkers(options: DialOptions): Dialing {
  const { folder } = options;
  const idle = new Map<string, Socket | undefined>();

  const dial = async (door: string): Promise<void> => {
    const stream = connect(join(folder, door));
    idle.set(door, stream);
    stream.on('error', () => {});
    const closed = new Promise((resolve) => stream.once('close', resolve));
    writeLine(stream, options.visit());
    const order = toOrder(await readLine(stream));
    if (order !== undefined && !stream.destroyed) {
      idle.set(door, undefined);
      writeLine(stream, order);
      options.onOrder(order, stream);
      return;
    }
    stream.destroy();
    await closed;
    await delay(REDIAL_MS);
  };
  const keep = async (door: string): Promise<void> => {
    while (doorsIn(folder).includes(door)) await dial(door).catch(() => {});
    idle.delete(door);
  };
  const look = (): void => {
    for (const door of doorsIn(folder)) {
      if (idle.has(door)) continue;
      idle.set(door, undefined);
      void keep(door);
    }
  };

  look();
  const watching = watchFolder(folder, look);
  setInterval(look, LOOK_MS);
  watching?.on('error', () => {});
  return {
    renew() {
      for (const stream of idle.values()) stream?.destroy();
    },
  };
}

function doorsIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.sock'));
  } catch {
    return [];
  }
}

function watchFolder(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(folder, onChange);
  } catch {
    return undefined;
  }
}
