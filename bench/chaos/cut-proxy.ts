import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between a worker and a cluster's API, passes bytes on, and breaks connections when told. */
export interface CutProxy {
  readonly port: number;
  /** Breaks each open connection once it has passed on so many more bytes. */
  cutAfter(bytes: number): void;
  /** Passes nothing on, on no connection that is open, for so long, and breaks them then. */
  stall(ms: number): Promise<void>;
  close(): Promise<void>;
}

interface Passage {
  /** Bytes until it breaks. */
  left: number;
  readonly sides: readonly [Socket, Socket];
}

export async function startCutProxy(target: URL): Promise<CutProxy> {
  const passages = new Set<Passage>();
  const server = createServer((near) => {
    const far = connect(Number(target.port || 443), target.hostname);
    const passage: Passage = { left: Number.POSITIVE_INFINITY, sides: [near, far] };
    passages.add(passage);
    passOn(passage, near, far);
    passOn(passage, far, near);
    near.once('close', () => passages.delete(passage));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter(bytes) {
      for (const passage of passages) {
        passage.left = bytes;
        if (bytes <= 0) breakOff(passage);
      }
    },
    async stall(ms) {
      const stalled = [...passages];
      for (const { sides } of stalled) for (const side of sides) side.pause();
      await new Promise((resolve) => setTimeout(resolve, ms));
      stalled.forEach(breakOff);
    },
    async close() {
      server.close();
      passages.forEach(breakOff);
      await once(server, 'close');
    },
  };
}

function passOn(passage: Passage, from: Socket, to: Socket): void {
  from.on('error', () => {});
  from.on('close', () => to.destroy());
  from.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, Math.max(0, Math.min(passage.left, chunk.length)));
    passage.left -= chunk.length;
    const isLast = passage.left <= 0;
    const isFull = !to.write(part, () => isLast && breakOff(passage));
    if (!isFull || isLast) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}

function breakOff({ sides }: Passage): void {
  for (const side of sides) side.resetAndDestroy();
}
