import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openStore } from '../../store/open-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { useClusterSessions } from './cluster-sessions.ts';
import { describeCluster, expectNothingLeft } from './test-cluster.ts';

const RESTORED =
  /^\[this is a new sandbox: .* restored from a snapshot of 20\S+Z, and its processes are gone\]\n/;
const LARGE = 'head -c 150000000 /dev/urandom > large; sha256sum large > sum; echo made';

describeCluster('a session that sleeps', (cluster) => {
  const sessions = useClusterSessions(cluster);
  const folder = mkdtempSync(join(tmpdir(), 'drover-sleep-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function untilAsleep(id: string): Promise<void> {
    const isAsleep = async (): Promise<boolean> => {
      const { status, hands } = await sessions.drover().sessions.get(id);
      return status === 'idle' && Object.keys(hands).length === 0;
    };
    await waitFor(`${id} to sleep`, isAsleep, 90_000);
    await expectNothingLeft(cluster());
  }

  async function wake(id: string): Promise<string> {
    const { sessions: client } = sessions.drover();
    const { event_ids } = await client.send(id, 'go on');
    const after = event_ids[0] ?? '';
    await client.waitUntilIdle(id, { after, timeoutMs: 100_000 });
    const events = await client.events(id, {
      types: ['agent.tool_result'],
      order: 'desc',
      limit: 1,
    });
    const [last] = events;
    const content = last?.type === 'agent.tool_result' ? (last.content ?? []) : [];
    return content.map((block) => ('text' in block ? block.text : '')).join('');
  }

  async function blobs(prefix: string): Promise<number> {
    const store = await openStore(sessions.store());
    return (await Array.fromAsync(store.list(prefix))).length;
  }

  async function archive(id: string): Promise<void> {
    await sessions.drover().sessions.archive(id);
    const isEnded = async (): Promise<boolean> =>
      (await sessions.drover().sessions.get(id)).status === 'terminated';
    await waitFor(`${id} to end`, isEnded, 60_000);
  }

  test('wakes with its files, without its processes; what it gave can be had all along', async () => {
    const id = await sessions.start(
      [
        'echo content > file; echo one > /mnt/session/outputs/out.txt; sleep 1000 & echo started',
        null,
        'cat file; pgrep -c sleep; echo two > /mnt/session/outputs/out.txt',
      ],
      { idle_release_seconds: 2 },
    );
    expect(await sessions.resultsOf(id)).toEqual(['started']);
    const { files } = sessions.drover();
    const outputOf = async (): Promise<string> => {
      await files.get(id, 'out.txt', folder);
      return readFileSync(join(folder, 'out.txt'), 'utf8');
    };
    expect(await outputOf()).toBe('one\n');
    await untilAsleep(id);
    expect(await outputOf()).toBe('one\n');
    const text = await wake(id);
    expect(text).toMatch(RESTORED);
    expect(text.replace(RESTORED, '')).toBe('content\n0');
    expect(await outputOf()).toBe('two\n');
    await archive(id);
    await expectNothingLeft(cluster());
    expect(await outputOf()).toBe('two\n');
    expect(await blobs('workspaces/')).toBe(0);
  });

  test('is put to sleep before the longest lifetime of its hand ends', async () => {
    const id = await sessions.start(['echo content > file', null, 'cat file'], {
      config: { max_lifetime_seconds: 60 },
    });
    await sessions.resultsOf(id);
    await untilAsleep(id);
    const text = await wake(id);
    expect(text).toMatch(RESTORED);
    expect(text).toMatch(/\ncontent$/);
    await archive(id);
  });

  test('its worker is killed as it falls asleep → the next one puts it to sleep', async () => {
    const id = await sessions.start([LARGE, null, 'sha256sum -c sum'], { idle_release_seconds: 2 });
    await sessions.resultsOf(id);
    const drafts = join(fileURLToPath(sessions.store()), '.drafts');
    const isHalfWay = (): boolean =>
      readdirSync(drafts).some((name) => statSync(join(drafts, name)).size > 20_000_000);
    await waitFor('half a snapshot', isHalfWay, 60_000);
    await sessions.worker().kill();
    expect(await blobs('workspaces/')).toBe(0);
    await sessions.worker().respawn();
    await untilAsleep(id);
    const text = await wake(id);
    expect(text).toMatch(RESTORED);
    expect(text).toMatch(/\nlarge: OK$/);
    await archive(id);
    expect(await blobs('workspaces/')).toBe(0);
  });

  test('its worker is killed as it wakes → restored whole, once', async () => {
    const id = await sessions.start([LARGE, null, 'sha256sum -c sum; ls'], {
      idle_release_seconds: 2,
    });
    await sessions.resultsOf(id);
    await untilAsleep(id);
    const waking = wake(id);
    const isRestoring = async (): Promise<boolean> =>
      (await sessions.heartbeats(id)).includes('its workspace, as it was');
    await waitFor('the restore', isRestoring, 60_000);
    await sessions.worker().kill();
    await sessions.worker().respawn();
    const text = await waking;
    expect(text).toMatch(RESTORED);
    expect(text).toMatch(/\nlarge: OK\nlarge\nsum$/);
    await archive(id);
  });
});
