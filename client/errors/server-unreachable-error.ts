import { DroverError } from './drover-error.ts';

/** No answer came in time. What was asked may have been done: send again with the same id. */
export class ServerUnreachableError extends DroverError {
  readonly code = 'server_unreachable';
  readonly address: string;

  constructor(address: string, options?: ErrorOptions) {
    super(
      `no Temporal server answers at ${address}; start one (npm start) or set TEMPORAL_ADDRESS, ` +
        'and for a server with TLS its TEMPORAL_TLS_* variables or TEMPORAL_API_KEY',
      options,
    );
    this.address = address;
  }
}
