import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, test } from 'vitest';
import type { PayloadKeys } from '../../codec/payload-codec.ts';
import { createWorkerConverter } from '../../workers/data-converter.ts';
import { loadWorkflowBundle } from '../../workers/workflow-bundle.ts';
import { BUNDLE_CACHE } from '../support/bundle-cache.ts';
import { ENCRYPTED_HISTORIES, openKeptKeys } from '../support/kept-keys.ts';

/** As `temporal workflow show --output json` prints it. */
interface History {
  readonly events: {
    activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  }[];
}

const FOLDER = fileURLToPath(new URL('../histories/', import.meta.url));
const KINDS = [
  'tools',
  'actions',
  'roll-over',
  'registered-session',
  'registry-agent',
  'several-hands',
  'mcp-tools',
];
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));

/** Histories of real runs. One that no longer replays would break sessions in the field. */
describe('kept histories', () => {
  let bundlePath: string;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    bundlePath = await loadWorkflowBundle(BUNDLE_CACHE);
  });

  async function read(file: string): Promise<History> {
    return JSON.parse(await readFile(`${FOLDER}${file}`, 'utf8'));
  }

  function replay(history: History, keys: PayloadKeys = null): Promise<void> {
    const dataConverter = createWorkerConverter(keys);
    return Worker.runReplayHistory(
      { workflowBundle: { codePath: bundlePath }, dataConverter },
      history,
    );
  }

  test('there are some of every kind', () => {
    for (const kind of KINDS) {
      expect(files.some((file) => file.startsWith(kind))).toBe(true);
    }
  });

  test.each(files)('%s → replays', async (file) => {
    await replay(await read(file));
  });

  describe('encrypted', () => {
    const encrypted = readdirSync(ENCRYPTED_HISTORIES).filter((file) => file.startsWith('session'));
    const readEncrypted = (file: string) => read(`encrypted/${file}`);

    test('there is a chain of runs', () => {
      expect(encrypted.length).toBeGreaterThan(1);
    });

    test.each(encrypted)('%s → replays with its keys, and waits without', async (file) => {
      await replay(await readEncrypted(file), await openKeptKeys());
      await expect(replay(await readEncrypted(file))).rejects.toThrow(/undecodable|no key ring/);
    });

    test.each(encrypted)('%s → holds nothing in the clear', async (file) => {
      const history = await readFile(`${ENCRYPTED_HISTORIES}${file}`, 'utf8');
      const bytes = [...history.matchAll(/"([\w+/]{8,}={0,2})"/g)]
        .map(([, base64 = '']) => Buffer.from(base64, 'base64').toString('latin1'))
        .join();
      for (const word of ['planted', 'recorded', 'Done', 'user.message']) {
        expect(history + bytes).not.toContain(word);
      }
    });
  });

  test('a mutated history → does not replay', async () => {
    const history = await read('tools.v1.run-0.json');
    const scheduled = history.events
      .map((event) => event.activityTaskScheduledEventAttributes)
      .find((attributes) => attributes?.activityType.name === 'execute');
    if (scheduled === undefined) throw new Error('the history holds no tool call');
    scheduled.activityType = { name: 'respond' };
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});
