import type { Bao } from '../support/bao.ts';
import { enableAuth } from '../support/bao-logins.ts';
import type { TestCluster } from './test-cluster.ts';

/** Of the shipped ConfigMap. */
export const VAULT_ROLE = 'drover';
const REVIEWER = 'token-reviewer';

/** A token of a service account, as its pods have it. */
export async function requestToken(
  { admin }: TestCluster,
  namespace: string,
  account: string,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const answer = await admin.post<{ readonly status: { readonly token: string } }>(path, request);
  return answer.status.token;
}

/**
 * Has a vault's server ask this cluster about tokens, as docs/credentials.md says, and let the shipped
 * service account in under this policy.
 *
 * @returns takes away what of it is in no namespace.
 */
export async function trustCluster(
  bao: Bao,
  cluster: TestCluster,
  policy: string,
): Promise<() => Promise<void>> {
  const { admin, workers: namespace } = cluster;
  const name = `${namespace}-${REVIEWER}`;
  const account = { name: REVIEWER, namespace };
  await admin.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account });
  await admin.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:auth-delegator',
    },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  });
  const { ca } = await admin.access.requestOptions();
  await enableAuth(bao, 'kubernetes');
  await bao.ask('POST', 'auth/kubernetes/config', {
    kubernetes_host: admin.access.server.origin,
    kubernetes_ca_cert: String(ca),
    token_reviewer_jwt: await requestToken(cluster, namespace, REVIEWER),
    disable_local_ca_jwt: true,
  });
  await bao.ask('POST', `auth/kubernetes/role/${VAULT_ROLE}`, {
    bound_service_account_names: ['drover-vault'],
    bound_service_account_namespaces: [namespace],
    token_policies: [policy],
    token_ttl: '1h',
  });
  return () => admin.delete(`/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${name}`);
}
