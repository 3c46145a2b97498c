import {
  isGrpcServiceError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  NamespaceNotFoundError as TemporalNamespaceNotFoundError,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import { SessionNotFoundError } from '../log/errors/session-not-found-error.ts';
import { AlreadyExistsError } from './errors/already-exists-error.ts';
import { DroverError } from './errors/drover-error.ts';
import { InvalidInputError } from './errors/invalid-input-error.ts';
import { NamespaceNotFoundError } from './errors/namespace-not-found-error.ts';
import { NotFoundError } from './errors/not-found-error.ts';
import { RequestFailedError } from './errors/request-failed-error.ts';
import { ServerUnreachableError } from './errors/server-unreachable-error.ts';
import { SessionEndedError } from './errors/session-ended-error.ts';
import type { Subject } from './subject.ts';

/** gRPC status codes that a caller can do something about. */
const GRPC = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export interface RequestContext {
  readonly address: string;
  readonly namespace: string;
  readonly subject?: Subject | undefined;
}

/**
 * The error a caller sees for what Temporal threw. What is not Temporal's comes back unchanged,
 * which includes the log's own errors about cursors and retention.
 */
export function toDroverError(error: unknown, context: RequestContext): unknown {
  if (error instanceof DroverError) return error;
  if (error instanceof SessionNotFoundError) {
    return new NotFoundError({ type: 'session', id: error.sessionId }, { cause: error });
  }
  if (error instanceof WorkflowNotFoundError) return missing(error.message, context, error);
  if (error instanceof TemporalNamespaceNotFoundError) {
    return new NamespaceNotFoundError(context.namespace, { cause: error });
  }
  if (error instanceof WorkflowExecutionAlreadyStartedError && context.subject !== undefined) {
    return new AlreadyExistsError(context.subject, { cause: error });
  }
  if (error instanceof WorkflowUpdateFailedError) {
    return error.cause instanceof ApplicationFailure
      ? new InvalidInputError(error.cause.message, { cause: error.cause })
      : new RequestFailedError(reason(error.cause ?? error), { cause: error });
  }
  const grpc = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(grpc)) return error;
  return fromStatus(grpc.code, grpc.details, context, error);
}

function fromStatus(code: number, details: string, context: RequestContext, cause: unknown) {
  switch (code) {
    case GRPC.notFound:
      return missing(details, context, cause);
    case GRPC.invalidArgument:
      return new InvalidInputError(details, { cause });
    case GRPC.unavailable:
    case GRPC.deadlineExceeded:
      return new ServerUnreachableError(context.address, { cause });
    case GRPC.permissionDenied:
    case GRPC.unauthenticated:
      return new RequestFailedError(
        `the server at ${context.address} refused the credentials (${details}); check TEMPORAL_API_KEY or the TEMPORAL_TLS_* variables`,
        { cause },
      );
    default:
      return new RequestFailedError(
        `the server at ${context.address} refused the request: ${details}`,
        { cause },
      );
  }
}

function missing(message: string, context: RequestContext, cause: unknown): DroverError {
  if (/namespace .*not found/i.test(message)) {
    return new NamespaceNotFoundError(context.namespace, { cause });
  }
  if (context.subject === undefined) return new RequestFailedError(message, { cause });
  if (context.subject.type === 'session' && message.includes('already completed')) {
    return new SessionEndedError(context.subject.id, { cause });
  }
  return new NotFoundError(context.subject, { cause });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
