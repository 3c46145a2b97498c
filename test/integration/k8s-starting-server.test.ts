import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ClusterAccess, openClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { requestJson, watchJson } from '../../k8s/connection/request.ts';
import { startUpstream, type Upstream } from '../support/egress-upstream.ts';

// A cluster's API server that was restarted: it answers before it knows who may do what. Seen of a
// real one in `npm run bench -- chaos-hands`.

const folder = mkdtempSync(join(tmpdir(), 'drover-starting-server-'));
let server: Upstream;
let access: ClusterAccess;
/** What is answered to readiness and to all else, one after the other; the last one stays. */
let ready: number[];
let answers: number[];

beforeAll(async () => {
  const next = (statuses: number[]): number =>
    (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 500;
  server = await startUpstream({
    names: 'IP:127.0.0.1',
    host: '127.0.0.1',
    answer(request: IncomingMessage, response: ServerResponse) {
      response.statusCode = next(request.url === '/readyz' ? ready : answers);
      response.end(
        `${JSON.stringify({ type: 'ADDED', message: 'jobs is forbidden', object: {} })}\n`,
      );
    },
  });
  const kubeconfig = join(folder, 'kubeconfig');
  const cluster = {
    server: `https://127.0.0.1:${server.tlsPort}`,
    'certificate-authority': server.caPath,
  };
  const config = {
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  };
  writeFileSync(kubeconfig, stringify(config));
  access = await openClusterAccess({ kubeconfig });
});
afterAll(async () => {
  access.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  ready = [200];
  answers = [200];
});

const ask = () => requestJson(access, { method: 'GET', path: '/apis/batch/v1/jobs' });

test('forbids until it is ready → asked again, and answered', async () => {
  ready = [403, 500, 200];
  answers = [403, 403, 403, 200];
  expect(await ask()).toMatchObject({ type: 'ADDED' });
});

test('has become ready between a refusal and the question → answered', async () => {
  answers = [403, 200];
  expect(await ask()).toMatchObject({ type: 'ADDED' });
});

test('forbids though it is ready → refused in its words, at once', async () => {
  answers = [403];
  const before = server.requests.length;
  await expect(ask()).rejects.toMatchObject({
    status: 403,
    message: expect.stringMatching('jobs is forbidden'),
  });
  expect(server.requests.slice(before).map(({ url }) => url)).toEqual([
    '/apis/batch/v1/jobs',
    '/readyz',
    '/apis/batch/v1/jobs',
  ]);
});

test('a watch, too', async () => {
  ready = [500, 200];
  answers = [403, 403, 200];
  const { signal } = new AbortController();
  const watch = watchJson(access, { method: 'GET', path: '/api/v1/pods', signal });
  expect((await watch.next()).value).toMatchObject({ type: 'ADDED' });
});
