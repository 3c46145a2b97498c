import type { Socket } from 'node:net';
import { type ServedHand, serveHand } from '../../hand/serve.ts';
import { containerOf, type Order } from '../../hand/visit.ts';
import { assertNever } from '../../protocol/assert-never.ts';
import { dialWorkers } from './dial-workers.ts';

export interface ServeWorkersOptions {
  readonly instance: string;
  readonly hand: ServedHand;
  /** Folder of the workers' sockets. */
  readonly doors: string;
  /** Runs the transfer program on a stream. */
  transfer(stream: Socket): void;
  /** Ends this process, and its container with it. */
  end(): void;
}

/** Serves the hand to every worker that has a socket, and tells them all whose it is. */
export function serveWorkers({ instance, hand, doors, transfer, end }: ServeWorkersOptions): void {
  let owner: string | null = null;
  const served: ServedHand = {
    ...hand,
    configure(configuration) {
      hand.configure?.(configuration);
      if (owner === configuration.owner) return;
      owner = configuration.owner;
      // After the answer: the stream that asked is none of those.
      setImmediate(() => dialing.renew());
    },
  };
  const obey = (order: Order, stream: Socket): void => {
    switch (order) {
      case 'calls': {
        const hello = { type: 'hello', instance, sockets_blocked: true } as const;
        serveHand(served, hello, { input: stream, output: stream });
        stream.resume();
        return;
      }
      case 'transfer':
        transfer(stream);
        return;
      case 'end':
        end();
        return;
      default:
        assertNever(order);
    }
  };
  const dialing = dialWorkers({
    folder: doors,
    visit: () => ({ container: containerOf(instance), instance, owner }),
    onOrder: obey,
  });
}
