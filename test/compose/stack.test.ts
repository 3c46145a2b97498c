import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Drover } from '../../client/index.ts';
import { BUILT_IN_TASK } from '../../rehearsal/built-in-task.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCommands, sendCommands, startCommands, untilResults } from './command-session.ts';
import {
  type ComposeContainer,
  type ComposeStack,
  createStack,
  REHEARSAL,
  readComposeFile,
} from './compose-stack.ts';

// The compose file as it is, on a real engine. The one stand-in is the model: a REHEARSAL, which runs
// in the stack under its own profile.

/** Images are built, when they are not there yet. */
const UP_MS = 600_000;
const HANDS = 2;
const IMAGES = [
  'postgres:16',
  'temporalio/server:1.31.2',
  'temporalio/admin-tools:1.31.2',
  'temporalio/ui:2.52.1',
  'openbao/openbao:2.4.0',
  'versity/versitygw:v1.8.0',
];

let stack: ComposeStack;
let drover: Drover;

beforeAll(async () => {
  const variables = { ...REHEARSAL, DROVER_HANDS: String(HANDS) };
  stack = await createStack(`drover-test-${process.pid}`, variables);
  await stack.up();
  drover = await stack.drover();
}, UP_MS);

afterAll(async () => {
  await drover?.close();
  await stack?.compose('down', '--volumes', '--timeout', '5');
}, UP_MS);

/** A test that fails keeps no hand from the next one. */
afterEach(async () => {
  const sessions = await drover.sessions.list().catch(() => []);
  await Promise.all(sessions.map(({ id }) => drover.sessions.archive(id)));
});

describe('up --wait', () => {
  test('every service runs, and every image is one of the public ones or is built', async () => {
    const containers = await stack.containers();
    const states = containers.map(({ service, inspected }) => [service, inspected.State.Status]);
    const jobs = [
      ...['prepare', 'temporal-schema', 'temporal-namespace', 'openbao-setup'],
      'signing-keys',
    ];
    const ended = states.filter(([, status]) => status !== 'running').map(([service]) => service);
    expect(ended.sort()).toEqual(jobs.sort());
    expect(states.filter(([service]) => service === 'hand')).toHaveLength(HANDS);
    const images = new Set(containers.map(({ inspected }) => inspected.Config.Image));
    expect([...images].sort()).toEqual(
      [...IMAGES, 'drover/hand:0.1.0', 'drover/worker:0.1.0'].sort(),
    );
  });

  test('the namespace has its search attributes and its retention', async () => {
    const words = ['--address', 'temporal:7233', '--namespace', 'default', '-o', 'json'];
    const run = (...command: readonly string[]): Promise<string> =>
      stack.compose('run', '--rm', '-T', '--no-deps', 'temporal-namespace', ...command, ...words);
    const attributes = await run('temporal', 'operator', 'search-attribute', 'list');
    for (const name of ['SessionStatus', 'SessionStopReason', 'SessionAgent']) {
      expect(attributes).toContain(name);
    }
    const namespace = await run('temporal', 'operator', 'namespace', 'describe');
    expect(namespace).toContain('31536000s');
  });

  test('the Web UI answers, on the loopback interface alone', async () => {
    const page = await fetch(`http://127.0.0.1:${stack.ports.ui}/`);
    expect(page.status).toBe(200);
    const bindings = (await stack.containers()).flatMap(({ inspected }) =>
      Object.values(inspected.HostConfig.PortBindings ?? {}).flat(),
    );
    expect(new Set(bindings.map(({ HostIp }) => HostIp))).toEqual(new Set(['127.0.0.1']));
  });

  test('every volume has a name: one without would stay', async () => {
    const mounts = (await stack.containers()).flatMap(({ inspected }) => inspected.Mounts);
    const volumes = mounts.filter(({ Type }) => Type === 'volume');
    const nameless = volumes.filter(({ Name }) => !Name?.startsWith(stack.project));
    expect(nameless.map(({ Destination }) => Destination)).toEqual([]);
  });

  test('services are bounded, restart, gain no privileges, and share no secret', async () => {
    for (const { service, inspected } of await stack.containers()) {
      const { HostConfig } = inspected;
      expect([service, HostConfig.Memory > 0, HostConfig.NanoCpus > 0]).toEqual([
        service,
        true,
        true,
      ]);
      expect(HostConfig.PidsLimit).toBeGreaterThan(0);
      expect(HostConfig.SecurityOpt).toContain('no-new-privileges:true');
      expect(HostConfig.Privileged).toBe(false);
      const isJob = inspected.State.Status === 'exited';
      expect([service, HostConfig.RestartPolicy.Name]).toEqual([
        service,
        isJob ? 'no' : service === 'hand' ? 'always' : 'unless-stopped',
      ]);
      expect(inspected.Mounts.some(({ Destination }) => Destination.includes('docker.sock'))).toBe(
        false,
      );
    }
  });

  test('no secret stands in the file', () => {
    const text = readComposeFile();
    const { services } = parse(text) as { services: Record<string, { environment?: object }> };
    for (const [name, { environment = {} }] of Object.entries(services)) {
      for (const [variable, value] of Object.entries(environment)) {
        const isSecret = /PASSWORD$|PWD|SECRET|TOKEN|API_KEY/.test(variable);
        expect([name, variable, isSecret ? value : null]).toEqual([name, variable, null]);
      }
    }
  });

  test('a hand is given nothing but the sockets of its workers, to read', async () => {
    for (const { inspected } of await stack.containers('hand')) {
      const { HostConfig, Mounts, Config } = inspected;
      expect(HostConfig.CapDrop).toEqual(['ALL']);
      expect(HostConfig.CapAdd ?? []).toEqual([]);
      expect(HostConfig.ReadonlyRootfs).toBe(true);
      expect(Config.User).toBe('1000:1000');
      expect(Mounts.filter(({ RW }) => RW)).toEqual([]);
      expect(Mounts.every(({ Destination }) => Destination.startsWith('/run/drover-'))).toBe(true);
      expect(Config.Env.filter((one) => /SECRET|PASSWORD|API_KEY|TOKEN/.test(one))).toEqual([]);
      expect(Object.keys(inspected.NetworkSettings.Networks)).toEqual([`${stack.project}_hands`]);
    }
  });
});

describe('a session', () => {
  test('does the built-in task with its tools', async () => {
    const { id, event_ids } = await drover.sessions.create(BUILT_IN_TASK);
    const after = event_ids.at(-1) ?? '';
    const idle = await drover.sessions.waitUntilIdle(id, { after, timeoutMs: 120_000 });
    expect(idle.stop_reason).toEqual({ type: 'end_turn' });
    const words = JSON.stringify(await drover.sessions.events(id));
    expect(words).toContain('All tests pass, and the fix is committed');
    await drover.sessions.archive(id);
  }, 180_000);

  test('goes on as if nothing had happened when server and workers are killed', async () => {
    const steps = Array.from({ length: 8 }, (_, index) => index + 1);
    const commands = steps.map((step) => `echo ${step} >> ran; sleep 1; echo step ${step}`);
    const session = await startCommands(drover, [...commands, 'cat ran']);
    const watcher = session.finished();
    watcher.catch(() => {});
    await untilResults(drover, session.id, 1);
    await stack.crash('worker-hands');
    await untilResults(drover, session.id, 3);
    await stack.crash('temporal');
    await waitFor('the server to answer again', () => isBack(session.id), 60_000);
    await untilResults(drover, session.id, 5);
    await stack.crash('worker-brain');
    const results = await session.finished();
    expect(results.map(({ text }) => text.trim())).toEqual([
      ...steps.map((step) => `step ${step}`),
      steps.join('\n'),
    ]);
    expect(results.every(({ isError }) => !isError)).toBe(true);
    await drover.sessions.archive(session.id);
  }, 300_000);

  test('whose container is lost is told so, and goes on in another one', async () => {
    const session = await startCommands(drover, [
      'echo kept > lost-with-it',
      'kill -9 $PPID; sleep 30',
    ]);
    const [, lost] = await session.finished();
    expect(lost?.isError).toBe(true);
    expect(lost?.text).toMatch(/Outcome unknown: the sandbox was lost/);
    const [after] = await sendCommands(drover, session.id, ['ls -A; echo alive']);
    expect(after?.text).toMatch(/this is a new, empty sandbox[\s\S]*alive/);
    expect(after?.text).not.toContain('lost-with-it');
    await drover.sessions.archive(session.id);
  }, 180_000);
});

describe('a hand', () => {
  test('is started anew, empty, when its session has released it', async () => {
    const before = await stack.containers('hand');
    const places =
      '/workspace /home/drover /tmp /mnt/session/outputs /dev/shm /run/drover /var/tmp /dev';
    const [name, found] = await runCommands(drover, [
      `for place in ${places}; do touch $place/mark-1 2>/dev/null; done; (sleep 1000 &) ; hostname`,
      `ls -d $(for place in ${places}; do echo $place/mark-1; done) 2>/dev/null | wc -l`,
    ]);
    expect(Number(found?.text)).toBeGreaterThanOrEqual(6);
    const its = (container: ComposeContainer): boolean =>
      container.id.startsWith(name?.text.trim() ?? '-');
    await waitFor('its container to be started anew', async () => {
      const now = await stack.containers('hand');
      expect(now.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
      const isAnew = now.find(its)?.startedAt !== before.find(its)?.startedAt;
      return isAnew && now.every(({ pid }) => pid !== 0);
    });
    // As many sessions at once as there are hands: one of them has that container.
    const sessions = await Promise.all(
      before.map(() =>
        runCommands(drover, [`sleep 2; ls -d /*/mark-1 /*/*/mark-1 /*/*/*/mark-1; ps ax`]),
      ),
    );
    for (const [result] of sessions) {
      expect(result?.text).not.toMatch(/mark-1\n|sleep 1000/);
    }
  }, 180_000);

  test("is one session's alone; who finds none waits for one", async () => {
    const holders = await Promise.all(
      Array.from({ length: HANDS }, (_, index) =>
        startCommands(drover, [`echo ${index} > mine; hostname`, 'cat mine; hostname']),
      ),
    );
    const results = await Promise.all(holders.map((holder) => holder.finished()));
    expect(new Set(results.map(([first]) => first?.text)).size).toBe(HANDS);
    for (const [index, [first, second]] of results.entries()) {
      expect(second?.text).toBe(`${index}\n${first?.text}`);
    }
    const waiting = await startCommands(drover, ['ls -A; hostname']);
    const isWaiting = async (): Promise<boolean> =>
      (await drover.sessions.events(waiting.id)).some(({ type }) => type === 'agent.tool_use');
    await waitFor('the call to be made', isWaiting);
    await drover.sessions.archive(holders[0]?.id ?? '');
    const [result] = await waiting.finished();
    expect(result?.text).toBe(results[0]?.[0]?.text);
    for (const { id } of [...holders.slice(1), waiting]) await drover.sessions.archive(id);
  }, 180_000);
});

describe('what a session runs', () => {
  test('reaches no worker, no other hand, no service, no daemon and no host', async () => {
    const [hand] = await stack.containers('hand');
    const neighbours = await stack.containers();
    const serving = 'python3 -m http.server 8000 --directory /tmp >/dev/null 2>&1 &';
    const other = await startCommands(drover, [`(${serving}) ; sleep 1; hostname`]);
    const [name] = await other.finished();
    const server = (await stack.containers('hand')).find(({ id }) =>
      id.startsWith(name?.text ?? '-'),
    );
    expect(server).toBeDefined();
    const addressOf = (service: string): string =>
      addressesOf(neighbours.find((one) => one.service === service))[0] ?? '';
    const targets = {
      'another hand': [addressesOf(server)[0], 8000],
      Temporal: [addressOf('temporal'), 7233],
      PostgreSQL: [addressOf('postgres'), 5432],
      OpenBao: [addressOf('openbao'), 8200],
      'the S3 server': [addressOf('s3'), 7070],
      'this machine': [(addressesOf(hand)[0] ?? '').replace(/\d+$/, '1'), stack.ports.temporal],
      'the metadata address': ['169.254.169.254', 80],
      'the internet': ['1.1.1.1', 443],
    };
    const probe = readFileSync(new URL('./probe.py', import.meta.url)).toString('base64');
    const [result] = await runCommands(drover, [
      `echo ${probe} | base64 -d > probe.py && python3 probe.py '${JSON.stringify(targets)}'`,
    ]);
    const found = JSON.parse(result?.text ?? '') as Record<string, readonly [string, string]>;
    expect(Object.keys(found).length).toBeGreaterThan(Object.keys(targets).length + 12);
    expect(Object.entries(found).filter(([, [outcome]]) => outcome !== 'refused')).toEqual([]);
  }, 120_000);

  test('goes out by the gateway only, to allowed hosts, with the token of its own hand', async () => {
    const environment = {
      provider: 'container',
      networking: { type: 'limited' as const, allowed_hosts: ['allowed.example'] },
    };
    const curl = "curl -sS -o /dev/null -w '%{http_code} ' -D - -m 10";
    const first = await startCommands(
      drover,
      [`${curl} http://other.example/; ${curl} http://allowed.example/; echo $HTTPS_PROXY`],
      environment,
    );
    const [said] = await first.finished();
    expect(said?.text).toMatch(/403 host other.example is not in/);
    expect(said?.text).toMatch(/502/);
    const token = said?.text.trim().split(/\s/).at(-1) ?? '';
    expect(token).toMatch(/^http:\/\/hand:/);
    const second = await startCommands(
      drover,
      [
        `${curl} -x ${token} http://allowed.example/; ${curl} -x http://127.0.0.1:3128 http://allowed.example/`,
      ],
      environment,
    );
    const [stolen] = await second.finished();
    expect(stolen?.text).toMatch(/403[\s\S]*token is that of another hand|foreign-token/);
    expect(stolen?.text).toContain('407');
  }, 120_000);

  test('finds no secret of the stack', async () => {
    const secrets = [
      await stack.exec('postgres', 'cat', '/run/postgres-secret/password'),
      ...(await stack.exec('s3', 'cat', '/run/s3-secret/server')).matchAll(/SECRET_KEY=(\w+)/g),
      ...(await stack.exec('worker-vault', 'cat', '/run/vault-login/env')).matchAll(/_ID=(\S+)/g),
    ].map((match) => (typeof match === 'string' ? match : (match[1] ?? '')));
    expect(secrets.filter((secret) => secret.length >= 32)).toHaveLength(4);
    // Split, so that the search does not find itself.
    const words = secrets.map((secret) => `'${secret.slice(0, 9)}''${secret.slice(9)}'`).join(' ');
    const search = `for s in ${words} "planted""here"; do grep -rlaF -e "$s" /proc/[0-9]*/environ /proc/[0-9]*/cmdline /run /etc /home /tmp /workspace /mnt /opt/drover/k8s 2>/dev/null; done; true`;
    const [result] = await runCommands(drover, [`echo plantedhere > found; ${search}`]);
    expect(result?.text.trim()).toBe('/workspace/found');
  }, 120_000);
});

test("the workers of hands have the gateway's signing keys, and not its authority's key", async () => {
  const folder = '/var/lib/drover/egress';
  const lineOf = async (name: string, line: number): Promise<string> =>
    (await stack.exec('gateway', 'cat', `${folder}/${name}`)).split('\n').at(line) ?? '';
  const findAll = (line: string): Promise<string> =>
    stack.exec(
      'worker-hands',
      ...['sh', '-c', 'grep -rlF -e "$0" /run /var/lib /etc /tmp /opt/drover 2>/dev/null; true'],
      line,
    );
  expect(await findAll(await lineOf('keys', 0))).toBe('/run/signing-keys/keys');
  expect(await findAll(await lineOf('ca.crt', 1))).toBe('/run/signing-keys/ca.crt');
  // The next one is of its public half, which the certificate has too.
  const privateKey = await lineOf('ca.key', 1);
  expect(privateKey.length).toBeGreaterThan(20);
  expect(await findAll(privateKey)).toBe('');
}, 60_000);

describe('OpenBao', () => {
  test('unseals itself when it was killed', async () => {
    await stack.crash('openbao');
    const status = await waitFor('OpenBao to be unsealed', () =>
      stack.exec('openbao', 'bao', 'status', '-format=json').catch(() => undefined),
    );
    expect(JSON.parse(status)).toMatchObject({ initialized: true, sealed: false });
  }, 60_000);

  test('gives the workers their credentials and nothing else', async () => {
    const bao = (...words: readonly string[]): Promise<string> =>
      stack.compose(
        ...['run', '--rm', '-T', '--no-deps', '--entrypoint', '/bin/sh', 'openbao-setup', '-c'],
        `. /run/vault-login/env && BAO_TOKEN=$(bao write -field=token auth/approle/login role_id=$VAULT_ROLE_ID secret_id=$VAULT_SECRET_ID) && export BAO_TOKEN && ${words.join(' ')}`,
      );
    await bao('bao kv put drover/probe value=1');
    expect(await bao('bao kv get -field=value drover/probe')).toBe('1');
    await bao('bao kv metadata delete drover/probe');
    await expect(bao('bao secrets list')).rejects.toThrow('permission denied');
    await expect(bao('bao token create')).rejects.toThrow('permission denied');
  }, 60_000);
});

describe('down', () => {
  test('leaves nothing', async () => {
    expect((await stack.leftovers()).length).toBeGreaterThan(0);
    await drover.close();
    await stack.compose('down', '--volumes', '--timeout', '10');
    expect(await stack.leftovers()).toEqual([]);
  }, 180_000);
});

function addressesOf(container: ComposeContainer | undefined): readonly string[] {
  const networks = container?.inspected.NetworkSettings.Networks ?? {};
  return Object.values(networks).map(({ IPAddress }) => IPAddress);
}

async function isBack(id: string): Promise<boolean> {
  return drover.sessions.get(id).then(
    () => true,
    () => false,
  );
}
