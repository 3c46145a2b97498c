import type { ClusterAccess } from '../../k8s/connection/cluster-access.ts';
import { ClusterError } from '../../k8s/connection/cluster-error.ts';
import { requestJson } from '../../k8s/connection/request.ts';

/** Any object of the cluster's API, as JSON. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** What only an administrator of the cluster may do. */
export interface ClusterAdmin {
  readonly access: ClusterAccess;
  get<T>(path: string, query?: Record<string, string>): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
  create(manifest: Manifest): Promise<unknown>;
  /** Merges `change` into an object. */
  patch(path: string, change: object): Promise<unknown>;
  /** Done already is success. */
  delete(path: string, body?: object): Promise<void>;
}

const PLURAL: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
};

export function createClusterAdmin(access: ClusterAccess): ClusterAdmin {
  const post = async <T>(path: string, body: object): Promise<T> =>
    (await requestJson(access, { method: 'POST', path, body })) as T;
  return {
    access,
    get: async <T>(path: string, query: Record<string, string> = {}) =>
      (await requestJson(access, { method: 'GET', path, query })) as T,
    post,
    create(manifest) {
      const { apiVersion, kind, metadata } = manifest;
      const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const where = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
      const plural = PLURAL[kind] ?? `${kind.toLowerCase()}s`;
      return post(`${root}${where}/${plural}`, manifest);
    },
    patch: (path, change) => requestJson(access, { method: 'PATCH', path, body: change }),
    async delete(path, body) {
      try {
        const more = body === undefined ? {} : { body };
        await requestJson(access, { method: 'DELETE', path, ...more });
      } catch (error) {
        if (!(error instanceof ClusterError) || error.status !== 404) throw error;
      }
    },
  };
}
