import { ServiceError, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, NamespaceNotFoundError } from '@temporalio/common';
import { expect, test } from 'vitest';
import { DroverError } from '../../client/index.ts';
import { toDroverError } from '../../client/to-drover-error.ts';

const context = {
  address: 'host:7233',
  namespace: 'space',
  subject: { type: 'session', id: 's1' },
} as const;

function grpc(code: number, details: string): ServiceError {
  const cause = Object.assign(new Error(details), { code, details, metadata: {} });
  return new ServiceError('request failed', { cause });
}

test.each<[string, unknown, string, RegExp]>([
  ['unknown workflow', new WorkflowNotFoundError('not found', 's1', undefined), 'not_found', /s1/],
  [
    'closed workflow',
    new WorkflowNotFoundError('workflow execution already completed', 's1', undefined),
    'session_ended',
    /s1/,
  ],
  ['namespace', new NamespaceNotFoundError('space'), 'namespace_not_found', /"space"/],
  [
    'rejected update',
    new WorkflowUpdateFailedError('failed', ApplicationFailure.create({ message: 'field: bad' })),
    'invalid_input',
    /^field: bad$/,
  ],
  ['unavailable', grpc(14, 'no connection'), 'server_unreachable', /host:7233/],
  ['deadline', grpc(4, 'too late'), 'server_unreachable', /host:7233/],
  ['invalid argument', grpc(3, 'bad query'), 'invalid_input', /bad query/],
  ['not allowed', grpc(7, 'nope'), 'request_failed', /TEMPORAL_API_KEY/],
  ['unauthenticated', grpc(16, 'who?'), 'request_failed', /TEMPORAL_API_KEY/],
  ['anything else', grpc(8, 'busy'), 'request_failed', /busy/],
])('%s → %s', (_name, error, code, words) => {
  const ours = toDroverError(error, context);
  expect(ours).toBeInstanceOf(DroverError);
  expect((ours as DroverError).code).toBe(code);
  expect((ours as DroverError).message).toMatch(words);
});

test('what is not Temporal’s comes back unchanged', () => {
  const error = new TypeError('a bug');
  expect(toDroverError(error, context)).toBe(error);
});
