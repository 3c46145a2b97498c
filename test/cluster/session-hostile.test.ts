import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { runCommandLine } from '../../client/command-line/run-command-line.ts';
import { waitFor } from '../support/wait-for.ts';
import { useClusterSessions } from './cluster-sessions.ts';
import { describeCluster, expectNothingLeft } from './test-cluster.ts';

/** What a worker may grow by, over what it has when it has served one call. */
const MAX_GROWTH_MIB = 96;

describeCluster('a session that does its worst', (cluster) => {
  const { drover, worker, start, heartbeats, resultsOf } = useClusterSessions(cluster);

  /** Resident memory of the worker process. */
  function workerMib(): number {
    const status = readFileSync(`/proc/${worker().pid()}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  test('1 GB of output, binary output, endless lines → each a result, and the worker stays small', async () => {
    const first = await start(['head -c 200000 /dev/urandom | base64']);
    await resultsOf(first);
    await drover().sessions.archive(first);
    const before = workerMib();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, workerMib());
    }, 50);
    const id = await start([
      'yes "said again and again" | head -c 1000000000; echo; echo end',
      'head -c 3000000 /dev/urandom',
      'head -c 50000000 /dev/zero | tr "\\0" x',
      'exec 1>&- 2>&-',
      'echo still here',
    ]);
    const results = await resultsOf(id);
    clearInterval(watch);
    console.log(`worker: ${before.toFixed(0)} MiB, at most ${most.toFixed(0)} MiB`);
    expect(results).toHaveLength(5);
    expect(results[0]).toMatch(
      /^\[output truncated: the end of 1000000005 bytes follows[\s\S]*\nend$/,
    );
    expect(results[1]).toMatch(/^\[output truncated: the end of 3000000 bytes follows/);
    expect(results[4]).toMatch(/still here$/);
    expect(most - before).toBeLessThan(MAX_GROWTH_MIB);
    await drover().sessions.archive(id);
  });

  test('a long command → what it says is in the description, in previews and in `drover tail`', async () => {
    const id = await start(['echo first; sleep 2; echo second words; sleep 8; echo third']);
    const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
    let shown = '';
    terminal.on('data', (chunk) => {
      shown += String(chunk);
    });
    const stop = new AbortController();
    const tail = runCommandLine(['tail', id, '--address', drover().address], 'drover', {
      stdin: process.stdin,
      stdout: terminal as never,
      stderr: new PassThrough() as never,
      signal: stop.signal,
    });
    const isShown = (): boolean => shown.includes('…: first second words');
    await waitFor('drover tail to show what it said so far', isShown, 60_000);
    expect(await heartbeats(id)).toContain('second words');
    const [result] = await resultsOf(id);
    expect(result).toBe('first\nsecond words\nthird');
    stop.abort();
    await tail;
    await drover().sessions.archive(id);
  });

  test('an interrupt → the command and all its children end in the sandbox', async () => {
    const children =
      'for i in 1 2 3; do sh -c "trap \\"\\" TERM INT; sleep 1000; sleep 1000" & done';
    const id = await start([
      `${children}; (setsid sleep 1000 &); echo started; wait`,
      'pgrep -xc sleep',
    ]);
    const isStarted = async (): Promise<boolean> => {
      const tails: string[] = [];
      for await (const event of drover().sessions.previews(id, {
        signal: AbortSignal.timeout(500),
      })) {
        if (event.type === 'tool_progress') tails.push(event.tail);
      }
      return tails.join('').includes('started');
    };
    await waitFor('the command to start', isStarted, 60_000);
    const { event_ids } = await drover().sessions.interrupt(id);
    await drover().sessions.waitUntilIdle(id, { after: event_ids[0] ?? '', timeoutMs: 30_000 });
    const { event_ids: sent } = await drover().sessions.send(id, 'and now?');
    await drover().sessions.waitUntilIdle(id, { after: sent[0] ?? '', timeoutMs: 30_000 });
    const results = await resultsOf(id);
    expect(results).toEqual([
      expect.stringMatching(/^bash: interrupted[\s\S]*started/),
      expect.stringMatching(/(^|\n)0$/),
    ]);
    await drover().sessions.archive(id);
    await expectNothingLeft(cluster());
  });
});
