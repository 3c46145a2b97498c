import type { Subject } from '../subject.ts';
import { DroverError } from './drover-error.ts';

/** There is no session, agent or environment of this id, or no such version of it. */
export class NotFoundError extends DroverError {
  readonly code = 'not_found';
  readonly subject: Subject;

  constructor(subject: Subject, options?: ErrorOptions) {
    super(`there is no ${subject.type} "${subject.id}"; list shows which exist`, options);
    this.subject = subject;
  }
}
