import { Agent, type RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { ClusterError } from './cluster-error.ts';

/** Where the cluster's API is, and how to be let in. */
export interface ClusterAccess {
  readonly server: URL;
  readonly namespace: string;
  /** Made anew for each request: a token may have been renewed. */
  requestOptions(): Promise<RequestOptions>;
  /** Closes idle connections. */
  close(): void;
}

export interface ClusterAccessOptions {
  /** Path of a kubeconfig; null for the service account of the pod that this runs in. */
  readonly kubeconfig: string | null;
  /** Default: that of the kubeconfig's context, or of the pod. */
  readonly namespace?: string;
}

/** @throws ClusterError naming the kubeconfig that cannot be used. */
export async function openClusterAccess(options: ClusterAccessOptions): Promise<ClusterAccess> {
  const config = await load(options.kubeconfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new ClusterError(0, `${nameOf(options.kubeconfig)} has no current cluster.`);
  }
  const context = config.getContextObject(config.getCurrentContext());
  const namespace = options.namespace ?? context?.namespace ?? 'default';
  const first = await optionsOf(config);
  const agent = cluster.proxyUrl === undefined ? keepAliveAgent(first) : undefined;
  return {
    server: new URL(cluster.server),
    namespace,
    async requestOptions() {
      const fresh = await optionsOf(config);
      return agent === undefined ? fresh : { ...fresh, agent };
    },
    close: () => agent?.destroy(),
  };
}

/** Loaded when it is needed: it brings the whole of the cluster's API along. */
async function load(path: string | null): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    if (path === null) config.loadFromCluster();
    else config.loadFromFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClusterError(0, `${nameOf(path)} cannot be used: ${reason}`, { cause: error });
  }
  return config;
}

async function optionsOf(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return options;
}

function keepAliveAgent({ ca, cert, key, rejectUnauthorized, servername }: RequestOptions): Agent {
  return new Agent({
    keepAlive: true,
    ca,
    cert,
    key,
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    ...(servername === undefined ? {} : { servername }),
  });
}

function nameOf(path: string | null): string {
  return path === null ? 'The service account of this pod' : `Kubeconfig ${path}`;
}
