import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { type EgressSettings, readEgressSettings } from '../egress/settings.ts';
import { describeIssues } from '../protocol/describe-issues.ts';
import { settingSecret as secret, settingText as text } from '../protocol/setting.ts';
import { TASK_QUEUE } from '../protocol/task-queue.ts';
import { folderUrl } from '../store/open-store.ts';
import { readVaultSettings, type VaultSettings } from '../vault/settings.ts';

const ROLES = ['brain', 'hands', 'vault', 'egress'] as const;
export type Role = (typeof ROLES)[number];

function isPlainUrl(value: string | undefined): boolean {
  if (value === undefined) return true;
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === '';
}

function toHostAndPort(
  value: string | undefined,
  context: z.RefinementCtx,
): { readonly host: string; readonly port: number } | undefined {
  if (value === undefined) return undefined;
  const url = URL.parse(`http://${value}`);
  if (url !== null && /^([\w.-]+|\[[\da-fA-F:]+\]):\d+$/.test(value)) {
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(value.split(':').at(-1)) };
  }
  context.addIssue({ code: 'custom', message: 'must be host:port, such as 10.0.0.5:3128' });
  return z.NEVER;
}

const Environment = z.object({
  /** Comma-separated; by default `all`, which is all that the configuration allows. */
  DROVER_ROLES: text.default('all').transform((value, context): readonly Role[] => {
    if (value === undefined || value === 'all') return ROLES;
    const roles = z
      .array(z.enum(ROLES))
      .min(1)
      .safeParse(value.split(',').map((role) => role.trim()));
    if (roles.success) return roles.data;
    context.addIssue({ code: 'custom', message: `must be all, or a list of ${ROLES.join(', ')}` });
    return z.NEVER;
  }),
  DROVER_STATE_FOLDER: text.transform((value) =>
    value === undefined ? defaultStateFolder() : resolve(value),
  ),
  /** `file:///folder` or `s3://bucket/prefix`. Default: `store` in the state folder. */
  DROVER_STORE: text,
  /** File of the key ring that payloads are encrypted with. Default: they are not. */
  DROVER_PAYLOAD_KEYS: text.transform((value) => (value === undefined ? null : resolve(value))),
  DROVER_HANDS_TASK_QUEUE: text.transform((value) => value ?? TASK_QUEUE.hands),
  /** `unconfined` runs hands without isolation: only for an operator who owns the whole machine. */
  DROVER_SANDBOX: z.enum(['required', 'unconfined']).default('required'),
  /**
   * Folder of sockets where hands in containers come to this worker; with it the worker gives hands of
   * kind `container`.
   */
  DROVER_CONTAINER_DOORS: text,
  /** With it, or in a cluster with the namespace below, this worker makes hands of kind `kubernetes`. */
  KUBECONFIG: text,
  /** Where hands are made. Default, with a kubeconfig: `drover-hands`. */
  DROVER_KUBERNETES_NAMESPACE: text,
  /** Sandbox of environments that name no image, as the cluster's nodes know it. */
  DROVER_SANDBOX_IMAGE: text.transform((value) => value ?? 'drover/sandbox:0.1.0'),
  /** Where `/live` and `/ready` are answered. Default: nowhere. */
  DROVER_HEALTH_PORT: text
    .transform((value) => (value === undefined ? undefined : Number(value)))
    .pipe(z.int().min(1).max(65_535).optional()),
  /** Whether the cluster's nodes can mount an image: other images then get the daemon so. */
  DROVER_KUBERNETES_IMAGE_VOLUMES: z.enum(['true', 'false']).default('false'),
  /** Where pods reach the egress proxy, `host:port`; with the file of the keys that it knows. */
  DROVER_EGRESS_PROXY: text.transform(toHostAndPort),
  /** With both, the worker is versioned and its sessions are pinned. */
  DROVER_DEPLOYMENT_NAME: text,
  DROVER_BUILD_ID: text,
  ANTHROPIC_API_KEY: secret,
  ANTHROPIC_AUTH_TOKEN: secret,
  ANTHROPIC_BASE_URL: text.refine(isPlainUrl, {
    message: 'must be an http or https URL with no name and password in it',
  }),
});

export interface WorkerEnvironment {
  readonly roles: readonly Role[];
  readonly stateFolder: string;
  /** URL of what `store/` opens. */
  readonly store: string;
  /** What `vault/` opens; only roles `vault` and `egress` do. */
  readonly vault: VaultSettings;
  /** Of the gateway; who signs tokens needs its keys too. */
  readonly egress: EgressSettings;
  /** File of a key ring, or null: payloads are not encrypted. */
  readonly payloadKeys: string | null;
  readonly handsTaskQueue: string;
  readonly isolation: 'required' | 'unconfined';
  /** Folder of sockets, or null: no hands in containers. */
  readonly containerDoors: string | null;
  readonly kubernetes: {
    /** Null in a cluster: the service account of the pod. */
    readonly kubeconfig: string | null;
    readonly namespace: string;
    readonly sandboxImage: string;
    /** Null: hands cannot be let out to some hosts only. */
    readonly egress: {
      readonly proxy: { readonly host: string; readonly port: number };
    } | null;
    readonly carriedBy: 'init_container' | 'image_volume';
  } | null;
  readonly healthPort: number | null;
  readonly deployment: { readonly name: string; readonly buildId: string } | null;
  readonly anthropic: {
    readonly apiKey: string | null;
    readonly authToken: string | null;
    readonly baseUrl: string | null;
  };
}

/** @throws Error naming every variable that is wrong. */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): WorkerEnvironment {
  const parsed = Environment.safeParse(variables);
  if (!parsed.success) throw new Error(describeIssues(parsed.error, 'environment'));
  const values = parsed.data;
  const { DROVER_DEPLOYMENT_NAME: name, DROVER_BUILD_ID: buildId } = values;
  if ((name === undefined) !== (buildId === undefined)) {
    throw new Error(
      'environment: set DROVER_DEPLOYMENT_NAME and DROVER_BUILD_ID together, or neither',
    );
  }
  const egress = readEgressSettings(variables, values.DROVER_STATE_FOLDER);
  return {
    roles: values.DROVER_ROLES,
    stateFolder: values.DROVER_STATE_FOLDER,
    store: values.DROVER_STORE ?? folderUrl(join(values.DROVER_STATE_FOLDER, 'store')),
    vault: readVaultSettings(variables, values.DROVER_STATE_FOLDER),
    payloadKeys: values.DROVER_PAYLOAD_KEYS,
    handsTaskQueue: values.DROVER_HANDS_TASK_QUEUE,
    isolation: values.DROVER_SANDBOX,
    containerDoors: values.DROVER_CONTAINER_DOORS ?? null,
    egress,
    kubernetes: toKubernetes(values, egress),
    healthPort: values.DROVER_HEALTH_PORT ?? null,
    deployment: name === undefined || buildId === undefined ? null : { name, buildId },
    anthropic: {
      apiKey: values.ANTHROPIC_API_KEY ?? null,
      authToken: values.ANTHROPIC_AUTH_TOKEN ?? null,
      baseUrl: values.ANTHROPIC_BASE_URL ?? null,
    },
  };
}

function toEgress(
  { DROVER_EGRESS_PROXY: proxy }: z.infer<typeof Environment>,
  { keys }: EgressSettings,
): NonNullable<WorkerEnvironment['kubernetes']>['egress'] {
  if (proxy === undefined) return null;
  // Its own would be none that the proxy knows.
  if (keys.type === 'file') return { proxy };
  throw new Error(
    'environment: set DROVER_EGRESS_KEYS with DROVER_EGRESS_PROXY: the file of the keys that the ' +
      'proxy knows',
  );
}

function toKubernetes(
  values: z.infer<typeof Environment>,
  egress: EgressSettings,
): WorkerEnvironment['kubernetes'] {
  const { KUBECONFIG: kubeconfig, DROVER_KUBERNETES_NAMESPACE: namespace } = values;
  if (kubeconfig === undefined && namespace === undefined) return null;
  return {
    kubeconfig: kubeconfig ?? null,
    namespace: namespace ?? 'drover-hands',
    sandboxImage: values.DROVER_SANDBOX_IMAGE,
    egress: toEgress(values, egress),
    carriedBy:
      values.DROVER_KUBERNETES_IMAGE_VOLUMES === 'true' ? 'image_volume' : 'init_container',
  };
}

function defaultStateFolder(): string {
  return join(homedir(), '.local', 'state', 'drover');
}
