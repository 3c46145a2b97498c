import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { V1Pod } from '@kubernetes/client-node';
import { expect, onTestFinished, test } from 'vitest';
import { writeAttachment } from '../../activities/hands/attachment.ts';
import { createDirectoryStore } from '../../store/directory-store.ts';
import { folderUrl } from '../../store/open-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { type TestHand, toProvisionInput, toTestHand, useClusterHands } from './cluster-hands.ts';
import { describeCluster } from './test-cluster.ts';

describeCluster('a hand in a cluster', (cluster) => {
  const hands = useClusterHands(cluster);

  const podsOf = ({ instance }: TestHand): Promise<readonly V1Pod[]> => hands.podsOf(instance);

  test('every tool works in its workspace', async () => {
    const hand = await hands.provision();
    expect(await hand.bash('pwd; id -u; cd /tmp')).toEqual({
      text: '/workspace\n1000',
      is_error: false,
    });
    expect((await hand.bash('pwd')).text).toBe('/tmp');
    await hand.run('write', { file_path: 'notes.txt', content: 'one\ntwo\n' });
    await hand.run('edit', { file_path: 'notes.txt', old_string: 'two', new_string: 'three' });
    expect((await hand.run('read', { file_path: 'notes.txt' })).text).toContain('three');
    expect((await hand.run('glob', { pattern: '*.txt' })).text).toContain('notes.txt');
    expect((await hand.run('grep', { pattern: 'thr' })).text).toContain('three');
    const { text } = await hand.bash(
      'git --version; rg --version 2>&1 | sed -n 1p; python3 --version',
    );
    expect(text).toMatch(/git version .*\nripgrep .*\nPython 3/);
  });

  test('a result of an MCP tool that is too large for the log → a file, and gone from the store', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'drover-large-result-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const store = createDirectoryStore(folderUrl(folder), folder);
    const hand = await hands.provision();
    const key = 'mcp-results/session/one';
    const content = randomBytes(6_000_000).toString('base64');
    const { bytes, sha256 } = await store.putNew(key, Readable.from([content]));
    const id = 'toolu_large';
    const result = { type: 'agent.mcp_tool_result' as const, mcp_tool_use_id: id, content: [] };
    const written = await writeAttachment(
      { id, name: 'write', input: { file_path: 'mcp-results/large.txt' } },
      { key, bytes, sha256, result },
      {
        openStore: async () => store,
        attempt: 1,
        async run({ name, input }) {
          const { text, is_error } = await hand.run(name, input, { id });
          return { content: [{ type: 'text', text }], is_error };
        },
      },
    );
    expect(written).toEqual({ events: [result] });
    expect((await hand.bash('sha256sum < mcp-results/large.txt')).text).toContain(sha256);
    expect(await store.head(key)).toBeUndefined();
  });

  test('provisioned again, also by another worker → the same instance, one pod', async () => {
    const hand = await hands.provision();
    const { session_id: session } = hand.instance;
    const others = await Promise.all([hands.worker(), hands.worker()]);
    for (const other of others) {
      const again = await other.provision(toProvisionInput({ session }));
      expect(again.instance).toBe(hand.instance.instance);
    }
    expect(await podsOf(hand)).toHaveLength(1);
  });

  test('provisioned by three workers at once → one hand', async () => {
    const workers = await Promise.all([hands.worker(), hands.worker(), hands.worker()]);
    const input = toProvisionInput();
    const provisioned = await Promise.all(workers.map((worker) => worker.provision(input)));
    expect(new Set(provisioned.map(({ instance }) => instance)).size).toBe(1);
    const hand = await hands.provision({ session: input.hand.session_id });
    expect(await podsOf(hand)).toHaveLength(1);
  });

  test('another name or generation → a hand of its own', async () => {
    const session = crypto.randomUUID();
    const [first, named, next] = await Promise.all([
      hands.provision({ session }),
      hands.provision({ session, name: 'second' }),
      hands.provision({ session, generation: 3 }),
    ]);
    await first.bash('touch mine');
    expect(await named.bash('ls')).toEqual({ text: '', is_error: false });
    expect((await next.bash('ls')).text).toMatch(/^\[this is a new, empty sandbox: [^\n]*\]$/);
  });

  test('released → its Job and pod go; released again → nothing to do', async () => {
    const hand = await hands.provision();
    const worker = await hands.worker();
    await worker.release({ hand: hand.instance, keep_workspace: false });
    await waitFor('its pod to be gone', async () => (await podsOf(hand)).length === 0);
    await worker.release({ hand: hand.instance, keep_workspace: false });
  });

  test('an interrupt stops the command, its children too, and returns what it said', async () => {
    const hand = await hands.provision();
    const interrupt = new AbortController();
    const result = hand.bash('echo said; (setsid sleep 1000 &) ; sleep 1000', {
      interrupt: interrupt.signal,
      onProgress: () => interrupt.abort(),
    });
    expect((await result).text).toMatch(/^bash: interrupted[\s\S]*said/);
    expect((await hand.bash('pgrep -x sleep | wc -l')).text).toMatch(/\n0$/);
  });

  test('ending the processes of a command leaves the stream to its daemon alone', async () => {
    const hand = await hands.provision();
    const before = await hand.bash('pgrep -x socat');
    await hand.run('bash', { restart: true });
    expect((await hand.bash('sleep 100', { timeout_ms: 200 })).text).toMatch(/timed out/);
    expect(await hand.bash('pgrep -x socat')).toMatchObject({
      text: expect.stringContaining(before.text),
    });
  });

  test('100 MB of output → its end, and the whole in a file', async () => {
    const hand = await hands.provision();
    const { text } = await hand.bash('head -c 100000000 /dev/zero | tr "\\0" x; echo; echo end');
    expect(text.length).toBeLessThan(110_000);
    const path = /the whole output is in (\S+)\]/.exec(text)?.[1];
    expect((await hand.bash(`wc -c < ${path}`)).text).toBe('100000005');
  });

  test('nothing of the cluster is in it: no token, no network, no privilege', async () => {
    const hand = await hands.provision();
    const { hostname, port } = cluster().admin.access.server;
    const { text } = await hand.bash(
      'ls /var/run/secrets 2>&1; env | grep -c "TOKEN\\|KEY="; ' +
        `timeout 2 bash -c "echo > /dev/tcp/${hostname}/${port === '' ? 443 : port}"; echo exit $?; ` +
        'grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status',
    );
    expect(text).toContain("cannot access '/var/run/secrets'");
    expect(text).toMatch(/^0$/m);
    expect(text).toMatch(/^exit (124|1)$/m);
    expect(text).toMatch(/CapEff:\s*0000000000000000\nNoNewPrivs:\s*1\nSeccomp:\s*2/);
  });

  test('unrestricted networking → names are resolved, private addresses stay closed', async () => {
    const environment = { networking: { type: 'unrestricted' as const } };
    const hand = await hands.provision({ environment });
    const { hostname, port } = cluster().admin.access.server;
    const name = 'getent hosts kubernetes.default.svc';
    const reach = `timeout 2 bash -c "echo > /dev/tcp/${hostname}/${port === '' ? 443 : port}"`;
    // Policies take a moment to know a new pod.
    const isOpen = async (): Promise<boolean> => !(await hand.bash(name)).is_error;
    await waitFor('names to be resolved', isOpen);
    expect((await hand.bash(reach)).is_error).toBe(true);
    const closed = await hands.provision();
    expect((await closed.bash(`timeout 5 ${name}`)).is_error).toBe(true);
  });

  test('two streams of two workers at once → each call has its own answer', async () => {
    const hand = await hands.provision();
    const other = await hands.worker();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        hand.bash(`echo ${index}`, index % 2 === 0 ? {} : { provider: other }),
      ),
    );
    expect(answers.map(({ text }) => text)).toEqual(
      Array.from({ length: 20 }, (_, index) => String(index)),
    );
    expect(toTestHand(other, hand.instance).instance).toEqual(hand.instance);
  });
});
