import { expect, test } from 'vitest';
import { useClusterHands } from './cluster-hands.ts';
import { describeCluster } from './test-cluster.ts';

const OUTPUT_BYTES = 1_000_000_000;

describeCluster('a command that does its worst', (cluster) => {
  const hands = useClusterHands(cluster);

  test('1 GB of output → its end, and the rest in a file that is named', async () => {
    const hand = await hands.provision();
    const lines = `yes "said again and again" | head -c ${OUTPUT_BYTES}`;
    const { text, is_error } = await hand.bash(`${lines}; echo; echo end`, {
      timeout_ms: 100_000,
    });
    expect(text.slice(0, 300)).toMatch(/^\[output truncated: the end of 1000000005 bytes follows/);
    expect(is_error).toBe(false);
    expect(text).toMatch(/\nend$/);
    expect(text.length).toBeLessThan(110_000);
    expect((await hand.bash('echo here')).text).toBe('here');
  });

  test('1 GB of output, again and again → the sandbox is there still', async () => {
    const hand = await hands.provision();
    await hand.bash('echo kept > file');
    for (let round = 0; round < 3; round += 1) {
      const { text } = await hand.bash('head -c 600000000 /dev/zero | tr "\\0" x; echo end');
      expect(text.slice(-3)).toBe('end');
    }
    // The kubelet looks at what volumes hold once a minute.
    expect(await hand.bash('sleep 80; cat file')).toEqual({ text: 'kept', is_error: false });
  });

  test('binary output → text, with a mark for what is none', async () => {
    const hand = await hands.provision();
    const { text, is_error } = await hand.bash('head -c 300000 /dev/urandom; printf "\\0end"');
    expect(is_error).toBe(false);
    expect(text).toMatch(/\uFFFDend$/);
    expect(text).not.toContain('\0');
    expect(Buffer.byteLength(text)).toBeLessThan(110_000);
    expect(JSON.parse(JSON.stringify(text))).toBe(text);
  });

  test('it closes its own output → its end is seen, and what the next one says', async () => {
    const hand = await hands.provision();
    expect(await hand.bash('echo before; exec >&- 2>&-; sleep 0.2; echo lost')).toMatchObject({
      text: expect.stringMatching(/^before/),
    });
    expect(await hand.bash('echo next')).toMatchObject({ text: expect.stringMatching(/next$/) });
  });

  test('a child that heeds no SIGTERM → killed when its time is over', async () => {
    const hand = await hands.provision();
    const command = `bash -c 'trap "" TERM; echo $$; while :; do sleep 1; done'`;
    const { text, is_error } = await hand.bash(command, { timeout_ms: 500 });
    expect(is_error).toBe(true);
    expect(text).toMatch(/timed out after 0.5|timed out/);
    const pid = /^(\d+)$/m.exec(text)?.[1];
    const gone = await hand.bash(`kill -0 ${pid} 2>&1; echo exit $?`);
    expect(gone.text).toMatch(/No such process\nexit 1$/);
  });

  test('a full disk → lost, and the words say which limit', async () => {
    const hand = await hands.provision({ environment: { config: { disk_mib: 64 } } });
    const full = await hand.bash(
      'dd if=/dev/zero of=big bs=1M count=4000 2>&1 | tail -1; echo written; sleep 60',
    );
    expect(full).toEqual({
      is_error: true,
      lost: true,
      text: expect.stringMatching(/sandbox was lost.*(Evicted|exceeds|disk).*64Mi/),
    });
  });

  test('a fork bomb, of a bounded depth → all of it is ended, and the hand answers', async () => {
    const hand = await hands.provision();
    const bomb =
      'bomb() { if [ $1 -gt 0 ]; then bomb $(($1 - 1)) & bomb $(($1 - 1)) & fi; sleep 300; }; bomb 7';
    expect(await hand.bash(bomb, { timeout_ms: 4_000 })).toMatchObject({
      is_error: true,
      text: expect.stringMatching(/timed out/),
    });
    expect((await hand.bash('pgrep -xc sleep')).text).toMatch(/^(\[.*\]\n)?0$/);
  });
});
