import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createKeyRingFile } from '../../codec/manage-key-ring.ts';
import { stop } from '../support/dev-server.ts';
import { COMPILED, giveBundle } from '../support/used-state.ts';
import { waitFor } from '../support/wait-for.ts';

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url));
const SECONDS_PER_DAY = 86_400;

describe('a worker process', () => {
  let stateFolder: string;
  let connection: Connection;

  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'drover-worker-'));
    await giveBundle(stateFolder);
    connection = await Connection.connect({ address: inject('temporalAddress') });
  });
  afterAll(async () => {
    await connection.close();
    await rm(stateFolder, { recursive: true, force: true });
  });

  /** What it printed until it ended, or until it polled. */
  async function start(variables: Record<string, string>) {
    const child = spawn(process.execPath, [MAIN], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        TEMPORAL_ADDRESS: inject('temporalAddress'),
        DROVER_STATE_FOLDER: stateFolder,
        ANTHROPIC_API_KEY: 'never-used',
        NODE_COMPILE_CACHE: COMPILED,
        ...variables,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const isPolling = () => output.includes('drover worker: polling');
    await waitFor(
      'the worker to poll or to end',
      () => isPolling() || child.exitCode !== null,
      30_000,
    );
    await stop(child, 'SIGTERM');
    return { output, isPolling: isPolling(), exitCode: child.exitCode };
  }

  async function namespace(retentionDays: number): Promise<string> {
    const name = `worker-${randomUUID().slice(0, 8)}`;
    await connection.workflowService.registerNamespace({
      namespace: name,
      workflowExecutionRetentionPeriod: { seconds: retentionDays * SECONDS_PER_DAY } as never,
    });
    await waitFor('the namespace', async () =>
      connection.workflowService.describeNamespace({ namespace: name }).then(
        () => true,
        () => false,
      ),
    );
    return name;
  }

  test('a key ring that is missing, broken or open to others → refuses to start, naming it', async () => {
    const path = join(stateFolder, 'keys.json');
    const refusal = async () => {
      const { output, exitCode } = await start({ DROVER_PAYLOAD_KEYS: path });
      expect(exitCode).toBe(1);
      return output;
    };
    expect(await refusal()).toMatch(/keys\.json: cannot be read \(ENOENT.*payload-keys create/);
    await writeFile(path, '{"type": "payload_key_ring"', { mode: 0o600 });
    expect(await refusal()).toMatch(/keys\.json: not JSON; restore it from a copy/);
    await rm(path);
    await createKeyRingFile(path);
    await chmod(path, 0o644);
    expect(await refusal()).toMatch(/keys\.json: has mode 0644.*chmod 600/);
  });

  test('a namespace without the search attributes → refuses, naming the command', async () => {
    const name = await namespace(90);
    const { output, isPolling, exitCode } = await start({ TEMPORAL_NAMESPACE: name });
    expect(isPolling).toBe(false);
    expect(exitCode).toBe(1);
    expect(output).toContain(
      `temporal operator search-attribute create --namespace ${name} --name SessionStatus --type Keyword`,
    );
    expect(output).not.toMatch(/\n\s+at /);
  });

  test('a namespace that forgets after a day → polls, and warns in words', async () => {
    const { output, isPolling } = await start({ TEMPORAL_NAMESPACE: 'default' });
    expect(isPolling).toBe(true);
    expect(output).toMatch(/warning: .*24 hours.*--retention 30d/);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['an unknown role', { DROVER_ROLES: 'brain,legs' }, /DROVER_ROLES.*brain, hands/],
    ['half a deployment', { DROVER_BUILD_ID: '1' }, /DROVER_DEPLOYMENT_NAME/],
    ['an unknown sandbox mode', { DROVER_SANDBOX: 'maybe' }, /DROVER_SANDBOX/],
    [
      'a server that is not there',
      { TEMPORAL_ADDRESS: '127.0.0.1:1' },
      /127\.0\.0\.1:1.*TEMPORAL_ADDRESS/,
    ],
    [
      'a namespace that is not there',
      { TEMPORAL_NAMESPACE: 'nowhere' },
      /"nowhere".*namespace create/,
    ],
  ])('%s → one line that says what to change', async (_name, variables, message) => {
    const { output, exitCode } = await start(variables);
    expect(exitCode).toBe(1);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toMatch(message);
  });
});
