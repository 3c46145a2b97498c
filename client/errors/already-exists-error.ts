import type { Subject } from '../subject.ts';
import { DroverError } from './drover-error.ts';

/** The id names another one already; ids are never used again. */
export class AlreadyExistsError extends DroverError {
  readonly code = 'already_exists';
  readonly subject: Subject;

  constructor(subject: Subject, options?: ErrorOptions) {
    super(`${subject.type} "${subject.id}" exists already; use it, or choose another id`, options);
    this.subject = subject;
  }
}
