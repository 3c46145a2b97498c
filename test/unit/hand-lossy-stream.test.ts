import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { createHandConnection } from '../../activities/hands/hand-connection.ts';
import { createHand } from '../../hand/hand.ts';
import { openJournal } from '../../hand/journal.ts';
import { serveHand } from '../../hand/serve.ts';
import type { HandTool } from '../../hand/tool.ts';
import { numbers } from '../support/numbers.ts';
import { type Fault, spoil } from '../support/spoil-bytes.ts';

const never = new AbortController().signal;
const OPTIONS = { interrupt: never, detach: never, onProgress: () => {} };
const HELLO = { type: 'hello', instance: 'i1', sockets_blocked: true } as const;

/** A real hand behind streams of which each meets a fault after some bytes, in one direction. */
function handBehind(faultOf: (stream: number) => Fault) {
  const folder = mkdtempSync(join(tmpdir(), 'lossy-'));
  const journal = openJournal(folder);
  const runs: string[] = [];
  const echo: HandTool = {
    hasEffects: true,
    async run(input, call) {
      call.onStart();
      runs.push(String(input['text']));
      return { text: String(input['text']), is_error: false };
    },
  };
  const hand = createHand({ journal, tools: { echo } });
  let streams = 0;
  const connection = createHandConnection({
    instance: 'i1',
    async open() {
      streams += 1;
      const fault = faultOf(streams);
      const [down, up] = [new PassThrough(), new PassThrough()];
      const near = Duplex.from({ readable: down, writable: up });
      const cut = (): void => void near.destroy();
      const isDown = streams % 2 === 0;
      const input = isDown ? up : spoil(up, fault, cut);
      const output = new PassThrough();
      (isDown ? spoil(output, fault, cut) : output).pipe(down);
      input.on('close', cut);
      serveHand(hand, HELLO, { input, output });
      return near;
    },
  });
  onTestFinished(() => {
    connection.close(new Error('the test ended'));
    journal.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { connection, runs, streams: () => streams };
}

test.each([
  ['lost', 1],
  ['doubled', 2],
  ['changed', 3],
  ['cut', 4],
] as const)(
  'bytes %s at random places, in both directions → every call runs once, its result as it was',
  async (what, seed) => {
    const random = numbers(seed);
    const { connection, runs, streams } = handBehind(() => ({
      what,
      afterBytes: Math.floor(random() * 900),
      bytes: 1 + Math.floor(random() * 40),
    }));
    const texts = Array.from({ length: 10 }, (_, index) => `${index}-`.repeat(1 + index * 9));
    for (const [index, text] of texts.entries()) {
      const call = { id: `toolu_${index}`, name: 'echo', input: { text } };
      expect(await connection.run('s', call, OPTIONS)).toEqual({ text, is_error: false });
    }
    expect(runs).toEqual(texts);
    expect(streams()).toBeGreaterThan(3);
  },
  60_000,
);

test.each(['lost', 'doubled', 'changed'] as const)(
  'a byte %s at each place of a whole exchange → one run, and the result as it was',
  async (what) => {
    const places = Array.from({ length: 66 }, (_, index) => index * 5);
    const exchange = async (place: number): Promise<void> => {
      const faults = (stream: number): Fault => ({
        what,
        afterBytes: stream <= 2 ? place : 1_000_000,
        bytes: 1,
      });
      const { connection, runs } = handBehind(faults);
      const call = { id: 'toolu_1', name: 'echo', input: { text: 'abcabcabc' } };
      const result = await connection.run('s', call, OPTIONS);
      expect(result).toEqual({ text: 'abcabcabc', is_error: false });
      expect(runs).toEqual(['abcabcabc']);
    };
    await Promise.all(places.map(exchange));
  },
  60_000,
);
