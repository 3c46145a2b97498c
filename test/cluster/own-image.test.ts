import { expect, test } from 'vitest';
import { useClusterHands } from './cluster-hands.ts';
import { describeCluster } from './test-cluster.ts';

// Images that know nothing of Drover, by names that the cluster's nodes know or can pull.
const IMAGES = {
  /** glibc and bash; no Node, Git or ripgrep. */
  debian: process.env['DROVER_TEST_IMAGE_DEBIAN'] ?? 'debian:bookworm-slim',
  /** No C library, no bash; busybox's shell. */
  busybox: process.env['DROVER_TEST_IMAGE_BUSYBOX'] ?? 'busybox:1',
  /** One static program and nothing else: no shell, no folders. */
  static: process.env['DROVER_TEST_IMAGE_STATIC'] ?? 'drover-test/static:1',
} as const;

describeCluster('a hand from an image of its own', (cluster) => {
  const hands = useClusterHands(cluster);
  const provision = (image: string) => hands.provision({ environment: { config: { image } } });

  test.each([['debian'], ['busybox']] as const)(
    '%s → bash, its processes and every file tool work',
    async (name) => {
      const hand = await provision(IMAGES[name]);
      expect(await hand.bash('pwd; id -u; echo $HOME; x=1')).toEqual({
        text: '/workspace\n1000\n/home/drover',
        is_error: false,
      });
      expect((await hand.bash('echo $x; f() { echo $BASH_VERSION; }; f')).text).toMatch(/^1\n5\./);
      await hand.run('write', { file_path: 'notes.txt', content: 'one\ntwo\n' });
      await hand.run('edit', { file_path: 'notes.txt', old_string: 'two', new_string: 'three' });
      expect((await hand.run('read', { file_path: 'notes.txt' })).text).toContain('three');
      expect((await hand.run('glob', { pattern: '*.txt' })).text).toContain('notes.txt');
      expect(await hand.run('grep', { pattern: 'thr' })).toMatchObject({
        text: expect.stringContaining('three'),
        is_error: false,
      });
      const slow = await hand.bash('echo said; sleep 100 & sleep 100', { timeout_ms: 500 });
      expect(slow.text).toMatch(/timed out after 500ms[\s\S]*said/);
      expect((await hand.bash('exit 3')).text).toMatch(/session terminated/);
      expect((await hand.bash('ls /opt/drover/bin && touch /opt/drover/x')).is_error).toBe(true);
    },
  );

  test('debian → its own programs and libraries, not those that were carried in', async () => {
    const hand = await provision(IMAGES.debian);
    const { text } = await hand.bash(
      'command -v node || echo no node; command -v rg || echo no rg; env | grep -c LD_; ' +
        'ldd /bin/ls | grep -c /opt/drover; getent passwd root | cut -d: -f1; apt-get --version | head -c 4',
    );
    expect(text).toBe('no node\nno rg\n0\n0\nroot\napt ');
  });

  test('no shell in it → bash says so, and the file tools work', async () => {
    const hand = await provision(IMAGES.static);
    expect(await hand.bash('echo here')).toEqual({
      text: expect.stringMatching(/^bash: the image of this sandbox has no shell .*config\.image/),
      is_error: true,
    });
    await hand.run('write', { file_path: 'notes.txt', content: 'one\n' });
    expect((await hand.run('read', { file_path: '/workspace/notes.txt' })).text).toContain('one');
    expect((await hand.run('grep', { pattern: 'on' })).text).toContain('one');
    expect((await hand.run('glob', { pattern: '*' })).text).toContain('notes.txt');
  });

  test('two workers, one killed stream → adopted like any other hand', async () => {
    const hand = await provision(IMAGES.busybox);
    const command = 'echo run >> runs; pkill socat || kill $(pidof socat); sleep 0.3; echo done';
    expect((await hand.bash(command)).text).toContain('done');
    expect((await hand.bash('cat runs', { provider: await hands.worker() })).text).toBe('run');
  });
});
