/** Every error the client throws: `code` is for programs, `message` says what to do. */
export abstract class DroverError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
