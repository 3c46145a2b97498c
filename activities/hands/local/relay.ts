import type { Socket } from 'node:net';
import {
  type EndRequest,
  type HandFrame,
  type HandHello,
  type HandRequest,
  isHandFrame,
  readFrames,
  writeFrame,
} from '../../../hand/wire.ts';
import type { Daemon } from './daemon.ts';

export interface Relay {
  /** Resolves with the daemon's first frame. */
  readonly hello: Promise<HandHello>;
  /** Joins a worker's connection to the daemon. */
  join(socket: Socket): void;
  close(): void;
}

/**
 * Joins many workers to the daemon's one pair of streams. Each stream has request ids of its own, so
 * they are marked with their connection on the way in.
 */
export function createRelay(
  daemon: Daemon,
  on: {
    /** Called with the number of calls that have no result. */
    onCalls(running: number): void;
    onEndRequest(): void;
    /** What the daemon says is not what a daemon of ours says. */
    onNonsense(): void;
  },
): Relay {
  const sockets = new Map<string, Socket>();
  const running = new Set<string>();
  const hello = Promise.withResolvers<HandHello>();
  let greeting: HandHello | undefined;
  let connections = 0;

  daemon.output.on('error', on.onNonsense);
  readFrames<HandFrame>(daemon.output, (frame) => {
    if (!isHandFrame({ ...frame })) {
      on.onNonsense();
      return;
    }
    if (frame.type === 'hello') {
      greeting = frame;
      hello.resolve(frame);
      for (const socket of sockets.values()) writeFrame(socket, frame);
      return;
    }
    const mark = frame.id.indexOf(':');
    const socket = sockets.get(frame.id.slice(0, mark));
    if (frame.type === 'result' || frame.type === 'conflict') {
      running.delete(frame.id);
      on.onCalls(running.size);
    }
    // Progress is the one thing that a slow reader can do without.
    if (socket === undefined || (frame.type === 'progress' && socket.writableNeedDrain)) return;
    writeFrame(socket, { ...frame, id: frame.id.slice(mark + 1) });
  });

  return {
    hello: hello.promise,
    join(socket) {
      connections += 1;
      const name = String(connections);
      sockets.set(name, socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(name));
      if (greeting !== undefined) writeFrame(socket, greeting);
      readFrames<HandRequest | EndRequest>(socket, (request) => {
        if (request.type === 'end') {
          on.onEndRequest();
          return;
        }
        const id = `${name}:${request.id}`;
        if (request.type === 'run' || request.type === 'set_up') {
          running.add(id);
          on.onCalls(running.size);
        }
        writeFrame(daemon.input, { ...request, id });
      });
    },
    close() {
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}
