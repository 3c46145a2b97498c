import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chooseSandbox } from '../../launch/choose-sandbox.ts';
import { builtInMessage, hasModel, openModel } from '../../launch/model.ts';
import { readStartOptions } from '../../launch/start-options.ts';
import { MAX_STATE_FOLDER_BYTES, openStateFolder } from '../../launch/state-folder.ts';
import { forOwnServer } from '../../launch/worker-environment.ts';
import { BUILT_IN_TASK } from '../../rehearsal/built-in-task.ts';

describe('options of npm start', () => {
  test.each([
    [[], { task: null, once: false, help: false }],
    [['do', 'this'], { task: 'do this', once: false, help: false }],
    [['--once', 'do this'], { task: 'do this', once: true, help: false }],
    [['do this', '--once'], { task: 'do this', once: true, help: false }],
    [[' '], { task: null, once: false, help: false }],
  ])('%j', (args, expected) => {
    expect(readStartOptions(args)).toEqual(expected);
  });

  test('an unknown option is named', () => {
    expect(() => readStartOptions(['--twice'])).toThrow(/'--twice'.*--help/);
  });
});

describe('the state folder', () => {
  test('a path that is too long for sockets is refused by name', async () => {
    const long = join(tmpdir(), 'x'.repeat(MAX_STATE_FOLDER_BYTES));
    await expect(openStateFolder(long)).rejects.toThrow(/DROVER_STATE_FOLDER/);
  });

  test('a path that is a file is refused by name', async () => {
    await expect(openStateFolder('/dev/null')).rejects.toThrow(/DROVER_STATE_FOLDER/);
  });

  test('is its owner’s alone', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'drover-state-'));
    const { path } = await openStateFolder(join(parent, 'state'));
    const { stat } = await import('node:fs/promises');
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    await rm(parent, { recursive: true });
  });
});

async function absent(): Promise<string | undefined> {
  return 'bwrap (package bubblewrap): ENOENT';
}

async function present(): Promise<string | undefined> {
  return undefined;
}

describe('the sandbox of a start', () => {
  test.each([
    ['isolation works', undefined, false, present, 'required', false],
    ['asked for none', 'unconfined', false, absent, 'unconfined', false],
    ['a rehearsal without isolation', undefined, true, absent, 'unconfined', true],
  ] as const)('%s', async (_name, configured, rehearsal, probe, mode, onlyRehearsal) => {
    const choice = await chooseSandbox(configured, rehearsal, probe);
    expect(choice).toMatchObject({ mode, onlyRehearsal });
    if (mode === 'unconfined') expect(choice.words).toContain('NONE');
  });

  test('a real model without isolation is refused, naming what to install', async () => {
    await expect(chooseSandbox('unconfind', true, absent)).rejects.toThrow(
      /DROVER_SANDBOX: "unconfind" must be required or unconfined/,
    );
    await expect(chooseSandbox(undefined, false, absent)).rejects.toThrow(
      /bubblewrap.*DROVER_SANDBOX=unconfined/,
    );
  });
});

describe('the model of a start', () => {
  test.each([
    [{}, false],
    [{ ANTHROPIC_API_KEY: '' }, false],
    [{ ANTHROPIC_API_KEY: 'key' }, true],
    [{ ANTHROPIC_AUTH_TOKEN: 'token' }, true],
    [{ ANTHROPIC_BASE_URL: 'http://localhost:1' }, true],
  ])('%j → real: %s', (variables, expected) => {
    expect(hasModel(variables)).toBe(expected);
  });

  test('what is said shows the host of a base URL, and no secret in it', async () => {
    const model = await openModel({ ANTHROPIC_BASE_URL: 'https://user:secret@proxy.example/x' });
    expect(model.words).toContain('proxy.example');
    expect(model.words).not.toContain('secret');
  });

  test('a real model is told how to make the repository', () => {
    expect(builtInMessage(true)).toBe(BUILT_IN_TASK);
    expect(builtInMessage(false)).toContain('git init');
    expect(builtInMessage(false)).toContain(BUILT_IN_TASK);
  });
});

test('nothing configured for another server reaches the worker of ours', () => {
  const environment = forOwnServer(
    { PATH: '/bin', TEMPORAL_API_KEY: 'key', TEMPORAL_PROFILE: 'cloud', TEMPORAL_TLS: 'true' },
    { address: '127.0.0.1:7233', namespace: 'default', stateFolder: '/state' },
  );
  expect(environment).toEqual({
    PATH: '/bin',
    TEMPORAL_ADDRESS: '127.0.0.1:7233',
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_CONFIG_FILE: '/state/no-temporal.toml',
  });
});
