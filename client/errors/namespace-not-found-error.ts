import { DroverError } from './drover-error.ts';

/** The server does not serve the namespace that was asked for. */
export class NamespaceNotFoundError extends DroverError {
  readonly code = 'namespace_not_found';

  constructor(namespace: string, options?: ErrorOptions) {
    super(
      `the server has no namespace "${namespace}"; set TEMPORAL_NAMESPACE, or create it with ` +
        `temporal operator namespace create --namespace ${namespace}`,
      options,
    );
  }
}
