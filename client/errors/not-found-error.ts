import type { Subject } from '../subject.ts';
import { DroverError } from './drover-error.ts';

export class NotFoundError extends DroverError {
  readonly code = 'not_found';
  readonly subject: Subject;

  constructor(subject: Subject, options?: ErrorOptions) {
    super(`there is no ${subject.type} "${subject.id}"; list shows which exist`, options);
    this.subject = subject;
  }
}
