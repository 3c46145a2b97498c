import type { Subject } from '../subject.ts';
import { DroverError } from './drover-error.ts';

export class AlreadyExistsError extends DroverError {
  readonly code = 'already_exists';
  readonly subject: Subject;

  constructor(subject: Subject, options?: ErrorOptions) {
    super(`${subject.type} "${subject.id}" exists already; use it, or choose another id`, options);
    this.subject = subject;
  }
}
