import { z } from 'zod';
import { bounded } from './bounded.ts';
import { CredentialReference } from './credential.ts';

/** Git must not take it for an option, and no secret may enter the history. */
const RemoteUrl = z
  .string()
  .min(1)
  .max(2_048)
  .refine((url) => !url.startsWith('-'), 'must not start with "-"')
  .refine(
    (url) => !/^[a-z+]+:\/\/[^/@]*:[^/@]*@/i.test(url),
    'must not hold a password or token: it would stay in the history',
  );

const MountPath = z
  .string()
  .max(1_024)
  .regex(/^\/[^\0]*[^/\0]$/, 'must be an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'must not hold ".."');

const Checkout = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('branch'),
    name: z
      .string()
      .min(1)
      .max(255)
      .regex(/^[^-\s~^:?*[\\][^\s~^:?*[\\]*$/, 'must be the name of a branch'),
  }),
  z.strictObject({
    type: z.literal('commit'),
    sha: z.string().regex(/^[0-9a-f]{40,64}$/, 'must be a full commit SHA'),
  }),
]);

/** Name of a branch or tag, in which `*` stands for any run of characters, slashes too. */
const RefPattern = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^-/\s~^:?[\\\p{Cc}][^\s~^:?[\\\p{Cc}]*$/u, 'must be a name, or one with * in it')
  .refine((name) => !name.startsWith('refs/'), 'must be without refs/heads/ or refs/tags/');

const MAX_PATTERNS = 20;

/** What may be changed in a repository. What is not named here may not. */
const RepositoryPush = z.strictObject({
  /** Branches that may be made, and moved forward. */
  branches: bounded(z.array(RefPattern), MAX_PATTERNS, 'branches').default([]),
  /** Tags that may be made. */
  tags: bounded(z.array(RefPattern), MAX_PATTERNS, 'tags').default([]),
  /** Whether these may also be moved to where they do not lead on from. */
  force: z.boolean().default(false),
  /** Whether these may also be deleted. */
  delete: z.boolean().default(false),
});
export type RepositoryPush = z.infer<typeof RepositoryPush>;

const GithubRepository = z
  .strictObject({
    type: z.literal('github_repository'),
    url: RemoteUrl,
    /** With it the hand reaches the repository through the gateway, which alone has the secret. */
    credential: CredentialReference.nullish(),
    /** Needs a credential. Default: nothing may be pushed. */
    push: RepositoryPush.nullish(),
    /** Default: the remote's default branch. */
    checkout: Checkout.nullish(),
    /** Default: `/workspace/<repository>`. */
    mount_path: MountPath.nullish(),
    authorization_token: z
      .never({ error: 'is not taken here: it would stay in the history' })
      .optional(),
  })
  .superRefine(({ url, credential, push }, context) => {
    if (credential == null) {
      if (push == null) return;
      const message = 'needs a credential: without one the gateway has no part in what is pushed';
      context.addIssue({ code: 'custom', path: ['push'], message });
    } else if (!/^https?:\/\/[^/@?#]+\/[^@?#]+$/i.test(url)) {
      const message = 'must be https://host/path when the repository has a credential';
      context.addIssue({ code: 'custom', path: ['url'], message });
    }
  });
export type RepositorySpec = z.infer<typeof GithubRepository>;

const File = z.strictObject({
  type: z.literal('file'),
  /** Of a file put into the store before. */
  file_id: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/, 'must be the id of a file in the store'),
  /** Default: `/mnt/session/uploads/<file_id>`. */
  mount_path: MountPath.nullish(),
});

/** What is put into a hand as it is made, in the shape of the Managed Agents API. */
export const SessionResourceSpec = z.discriminatedUnion('type', [GithubRepository, File]);
export type SessionResourceSpec = z.infer<typeof SessionResourceSpec>;

export type SessionResourceInput = z.input<typeof SessionResourceSpec>;

const MAX_RESOURCES = 100;
/** All of them are named in one token, which is sent with each request. */
const MAX_WITH_CREDENTIAL = 20;

/** Resources of one session: no two at the same path. */
export const SessionResourceSpecs = bounded(
  z.array(SessionResourceSpec).superRefine((resources, context) => {
    const taken = new Set<string>();
    for (const [index, resource] of resources.entries()) {
      const path = mountPathOf(resource);
      if (taken.has(path)) {
        const message = `"${path}" is taken by another resource; choose another path`;
        context.addIssue({ code: 'custom', path: [index, 'mount_path'], message });
      }
      taken.add(path);
    }
    const count = withCredential(resources).length;
    if (count <= MAX_WITH_CREDENTIAL) return;
    const message = `has ${count} repositories with a credential; at most ${MAX_WITH_CREDENTIAL} are allowed`;
    context.addIssue({ code: 'custom', path: [], message });
  }),
  MAX_RESOURCES,
  'resources',
);

/** Repositories that a hand reaches through the gateway. */
export function withCredential(
  resources: readonly SessionResourceSpec[],
): readonly RepositorySpec[] {
  return resources.filter(
    (resource): resource is RepositorySpec =>
      resource.type === 'github_repository' && resource.credential != null,
  );
}

/** Where in the hand a resource is put. */
export function mountPathOf(resource: SessionResourceSpec): string {
  if (typeof resource.mount_path === 'string') return resource.mount_path;
  if (resource.type === 'file') return `/mnt/session/uploads/${resource.file_id}`;
  return `/workspace/${repositoryName(resource.url)}`;
}

/** What a repository is called by its address: letters, digits, dots, dashes and underscores. */
export function repositoryName(url: string): string {
  const last = url
    .replace(/[?#].*$/, '')
    .replace(/\/+$/, '')
    .split(/[/:\\]/)
    .at(-1);
  const name = last?.replace(/\.git$/, '').replace(/[^a-zA-Z0-9._-]/g, '-') ?? '';
  return /^\.*$/.test(name) ? 'repository' : name;
}
