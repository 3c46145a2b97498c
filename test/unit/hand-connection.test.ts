import { Duplex, PassThrough } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createHandConnection } from '../../activities/hands/hand-connection.ts';
import { HandGoneError } from '../../activities/hands/hand-gone-error.ts';
import { CallConflictError } from '../../hand/hand.ts';
import { type HandFrame, type HandRequest, readFrames, writeFrame } from '../../hand/wire.ts';
import { waitFor } from '../support/wait-for.ts';

/** The other end of each stream that a connection opens. */
interface Peer {
  readonly got: HandRequest[];
  say(frame: HandFrame): void;
  cut(): void;
}

function connectionTo(options: { silenceMs?: number; greet?: boolean; open?: () => void } = {}) {
  const peers: Peer[] = [];
  const connection = createHandConnection({
    instance: 'i1',
    ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
    async open() {
      options.open?.();
      const [down, up] = [new PassThrough(), new PassThrough()];
      const stream = Duplex.from({ readable: down, writable: up });
      const got: HandRequest[] = [];
      readFrames<HandRequest>(up, (request) => got.push(request));
      const peer: Peer = {
        got,
        say: (frame) => void writeFrame(down, frame),
        cut: () => void stream.destroy(),
      };
      peers.push(peer);
      if (options.greet !== false) {
        peer.say({ type: 'hello', instance: 'i1', sockets_blocked: true });
      }
      return stream;
    },
  });
  onTestFinished(() => connection.close(new Error('the test ended')));
  return { connection, peers };
}

const CALL = { id: 'toolu_1', name: 'bash', input: { command: 'x' } };
const RESULT = { text: 'done', is_error: false };

function options(
  overrides: { interrupt?: AbortSignal; detach?: AbortSignal; onProgress?: () => void } = {},
) {
  const never = new AbortController().signal;
  return { interrupt: never, detach: never, onProgress: () => {}, ...overrides };
}

/** Answers the first request of a kind that a peer gets. */
async function answer(peers: readonly Peer[], index: number, result = RESULT): Promise<void> {
  const request = await waitFor('a request', () =>
    peers[index]?.got.find((asked) => asked.type === 'run'),
  );
  peers[index]?.say({ type: 'result', id: request.id, result });
}

describe('a connection', () => {
  test('asks on one stream, however many calls', async () => {
    const { connection, peers } = connectionTo();
    const both = [
      connection.run('s', CALL, options()),
      connection.run('s', { ...CALL, id: 'b' }, options()),
    ];
    await waitFor('both requests', () => peers[0]?.got.length === 2);
    for (const request of peers[0]?.got ?? [])
      peers[0]?.say({ type: 'result', id: request.id, result: RESULT });
    expect(await Promise.all(both)).toEqual([RESULT, RESULT]);
    expect(peers).toHaveLength(1);
  });

  test('cut in mid-call → asks again with the same key', async () => {
    const { connection, peers } = connectionTo();
    const result = connection.run('s', CALL, options());
    await waitFor('the request', () => peers[0]?.got.length === 1);
    peers[0]?.cut();
    await answer(peers, 1);
    expect(await result).toEqual(RESULT);
    expect(peers[1]?.got[0]).toMatchObject({ type: 'run', session_id: 's', call: CALL });
  });

  test('cut after an interrupt → asks for both again', async () => {
    const { connection, peers } = connectionTo();
    const interrupt = new AbortController();
    const result = connection.run('s', CALL, options({ interrupt: interrupt.signal }));
    await waitFor('the request', () => peers[0]?.got.length === 1);
    interrupt.abort();
    await waitFor('the cancel', () => peers[0]?.got.length === 2);
    peers[0]?.cut();
    await waitFor('both again', () => peers[1]?.got.length === 2);
    expect(peers[1]?.got.map(({ type }) => type)).toEqual(['run', 'cancel']);
    await answer(peers, 1);
    expect(await result).toEqual(RESULT);
  });

  test('a peer that talks nonsense is cut, and asked again', async () => {
    const { connection, peers } = connectionTo();
    const result = connection.run('s', CALL, options());
    await waitFor('the request', () => peers[0]?.got.length === 1);
    peers[0]?.say('nonsense' as unknown as HandFrame);
    await answer(peers, 1);
    expect(await result).toEqual(RESULT);
  });

  test.each([
    { result: null },
    { result: { text: 5, is_error: false } },
    { result: { text: 'x' } },
  ])('a result that is none ($result) → gone', async ({ result }) => {
    const { connection, peers } = connectionTo();
    const failed = expect(connection.run('s', CALL, options())).rejects.toThrow(HandGoneError);
    await answer(peers, 0, result as unknown as typeof RESULT);
    await failed;
  });

  test.each<[string, object]>([
    ['progress', { tail: { toString: 1 }, output_bytes: 1 }],
    ['progress', { tail: 'x', output_bytes: '1' }],
    ['result', { result: { text: { a: 1 }, is_error: false } }],
    ['result', {}],
    ['conflict', { message: { a: 1 } }],
    ['no such type', {}],
  ])('a frame that no hand sends, %s %j → gone', async (type, fields) => {
    const { connection, peers } = connectionTo();
    const running = connection.run('s', CALL, options());
    const request = await waitFor('a request', () =>
      peers[0]?.got.find((asked) => asked.type === 'run'),
    );
    peers[0]?.say({ type, id: request.id, ...fields } as never);
    await expect(running).rejects.toThrow(HandGoneError);
  });

  test('another instance says hello → gone, and it is asked for nothing', async () => {
    const { connection, peers } = connectionTo({ greet: false });
    const result = expect(connection.run('s', CALL, options())).rejects.toThrow(HandGoneError);
    await waitFor('a stream', () => peers.length === 1);
    peers[0]?.say({ type: 'hello', instance: 'i2', sockets_blocked: true });
    await result;
    expect(peers[0]?.got).toEqual([]);
  });

  test('nothing is asked before the hello', async () => {
    const { connection, peers } = connectionTo({ greet: false });
    const result = connection.run('s', CALL, options());
    await waitFor('a stream', () => peers.length === 1);
    expect(peers[0]?.got).toEqual([]);
    peers[0]?.say({ type: 'hello', instance: 'i1', sockets_blocked: true });
    await answer(peers, 0);
    expect(await result).toEqual(RESULT);
  });

  test('known to be gone → says so', async () => {
    const { connection } = connectionTo({
      open: () => {
        throw new HandGoneError('it has ended');
      },
    });
    await expect(connection.run('s', CALL, options())).rejects.toThrow('it has ended');
  });

  test('that cannot be opened for a while → is opened when it can', async () => {
    let attempts = 0;
    const { connection, peers } = connectionTo({
      open: () => {
        attempts += 1;
        if (attempts < 4) throw new Error('ECONNREFUSED');
      },
    });
    const result = connection.run('s', CALL, options());
    await answer(peers, 0);
    expect(await result).toEqual(RESULT);
  });

  test('silent for too long → gone, whether it greets or not', async () => {
    for (const greet of [true, false]) {
      const { connection } = connectionTo({ silenceMs: 300, greet });
      await expect(connection.run('s', CALL, options())).rejects.toThrow(/has not answered/);
    }
  });

  test('a call that is long but whose hand answers pings is waited for', async () => {
    const { connection, peers } = connectionTo({ silenceMs: 1_500 });
    const result = connection.run('s', CALL, options());
    let answered = 0;
    await waitFor('three pings', () => {
      for (const request of peers[0]?.got.slice(answered) ?? []) {
        answered += 1;
        if (request.type === 'ping') peers[0]?.say({ type: 'pong', id: request.id });
      }
      return peers[0]?.got.filter(({ type }) => type === 'ping').length === 3;
    });
    await answer(peers, 0);
    expect(await result).toEqual(RESULT);
    expect(peers).toHaveLength(1);
  });

  test('a conflict and a detachment are told apart from a lost hand', async () => {
    const { connection, peers } = connectionTo();
    const refused = expect(connection.run('s', CALL, options())).rejects.toThrow(CallConflictError);
    const request = await waitFor('a request', () => peers[0]?.got[0]);
    peers[0]?.say({ type: 'conflict', id: request.id, message: 'other input' });
    await refused;
    const detach = new AbortController();
    const detached = connection.run('s', CALL, options({ detach: detach.signal }));
    detach.abort(new Error('given up'));
    await expect(detached).rejects.toThrow('given up');
    expect(peers[0]?.got.map(({ type }) => type)).not.toContain('cancel');
  });
});

describe('frames', () => {
  const frames = [
    { type: 'pong', id: '1' },
    { type: 'result', id: '2', result: { text: 'äöü\n"漢字"\u2028 \0', is_error: false } },
    { type: 'result', id: '3', result: { text: 'x'.repeat(200_000), is_error: true } },
  ] as const;
  const sent = new PassThrough({ highWaterMark: 1_000_000 });
  for (const frame of frames) writeFrame(sent, frame);
  const bytes = sent.read() as Buffer;

  test.each([1, 2, 3, 7, 64, 1_000, 65_536])(
    'in pieces of %d bytes come whole and in order',
    async (size) => {
      const stream = new PassThrough({ highWaterMark: 1_000_000 });
      const got: object[] = [];
      readFrames(stream, (frame) => got.push(frame));
      const until = size < 64 ? 200 : bytes.length;
      const expected = size < 64 ? 2 : 3;
      for (let start = 0; start < until; start += size)
        stream.write(bytes.subarray(start, Math.min(start + size, until)));
      await waitFor('the frames', () => got.length === expected);
      expect(got).toEqual(frames.slice(0, expected));
    },
  );

  test('a frame that a cut left half is dropped', async () => {
    const stream = new PassThrough();
    const got: object[] = [];
    readFrames(stream, (frame) => got.push(frame));
    stream.end(bytes.subarray(0, 60));
    await new Promise((resolve) => stream.on('end', resolve));
    expect(got).toEqual(frames.slice(0, 1));
  });

  test('an endless line is refused', async () => {
    const stream = new PassThrough();
    stream.on('error', () => {});
    readFrames(stream, () => {});
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    for (let sent = 0; sent < 40 && !stream.destroyed; sent += 1) {
      stream.write(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.destroyed).toBe(true);
  });
});
