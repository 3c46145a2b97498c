export { AgentUnresolvedError } from './errors/agent-unresolved-error.ts';
export { CursorAbandonedError } from './errors/cursor-abandoned-error.ts';
export { CursorMalformedError } from './errors/cursor-malformed-error.ts';
export { RunNotRetainedError } from './errors/run-not-retained-error.ts';
export { SessionNotFoundError } from './errors/session-not-found-error.ts';
export { StepNotFoundError } from './errors/step-not-found-error.ts';
export type { LogDependencies } from './history-source.ts';
export { createLogReader, type LogReader } from './log-reader.ts';
export { comparePositions } from './position.ts';
export { type Projected, project } from './project.ts';
export type { SliceOptions } from './read-slice.ts';
export { toResource } from './resource.ts';
export { type RunState, startRun } from './run-state.ts';
export {
  createStepReader,
  type StepAddress,
  type StepContext,
  type StepReader,
} from './step-reader.ts';
export type { TailOptions } from './tail.ts';
