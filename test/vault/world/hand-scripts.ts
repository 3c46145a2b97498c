import { gitUrl, mcpUrl } from './credentials.ts';
import type { Servers } from './vault-world.ts';

// What runs in the sandbox, with nothing but its own environment.

const HEADER = '-H "Authorization: Bearer $API_KEY"';

/** Uses the key in every place of a request, and lets servers say it again. */
export function useApi({ api, elsewhere }: Servers): string {
  const https = `https://api.test:${api.tlsPort}`;
  const to = (port: number, scheme: string) =>
    `"${https}/redirect?to=${scheme}://elsewhere.test:${port}/check"`;
  return [
    `curl -sS ${HEADER} ${https}/check`,
    `curl -sS -u "me:$API_KEY" ${https}/check`,
    `curl -sS -d "key=$API_KEY" ${https}/check`,
    `curl -sS --json '{"key": "'"$API_KEY"'"}' ${https}/check`,
    `curl -sS ${HEADER} http://api.test:${api.plainPort}/check`,
    `curl -sS -i ${HEADER} ${https}/reflect > reflected.txt`,
    `curl -sS -i --compressed ${HEADER} ${https}/compressed > compressed.txt`,
    `curl -sS -i ${HEADER} ${https}/500 | tee failed.txt`,
    `curl -sS -i ${HEADER} ${https}/401`,
    `curl -sS -i ${HEADER} ${to(elsewhere.tlsPort, 'https')}`,
    `curl -sS -L --location-trusted ${HEADER} ${to(elsewhere.plainPort, 'http')}`,
    `curl -sS ${HEADER} http://elsewhere.test:${elsewhere.plainPort}/check`,
  ].join('\n');
}

/** Pushes, and has git say all that it says of it. */
export function useGit(name: string): string {
  return [
    `cd ${name} && git remote -v && git config --list --show-origin`,
    'echo change > change.txt && git add . && git -c user.name=a -c user.email=a@b commit -qm change',
    'GIT_TRACE=1 GIT_CURL_VERBOSE=1 GIT_TRACE_CURL=1 git push origin HEAD:drover/change 2> trace.txt',
    'echo pushed with $?; git pull --quiet origin main; echo pulled with $?',
    'cat .git/config; git gc --quiet; cat trace.txt',
  ].join('\n');
}

/** A program that lives on and holds all that it was answered. */
export function keepAnswers({ api }: Servers): string {
  const program = `
    const kept = [];
    const headers = { authorization: 'Bearer ' + process.env.API_KEY };
    for (const path of ['check', 'reflect', 'compressed', '500']) {
      const answer = await fetch('https://api.test:${api.tlsPort}/' + path, { headers });
      kept.push([...answer.headers], await answer.text());
    }
    console.log('kept', kept.length, kept[1]);
    setInterval(() => kept.length, 1000);`;
  return `cat > keep.mjs <<'END'\n${program}\nEND\nnode keep.mjs > kept.txt 2>&1 &
until grep -q kept kept.txt; do sleep 0.1; done; cat kept.txt`;
}

/** Shows what there is to see, says a word, and waits for a file. */
export function hold(word: string): string {
  return [
    'env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"',
    `echo '${word}' | tee word.txt; export WORD='${word}'`,
    'until [ -e go ]; do sleep 0.1; done',
  ].join('\n');
}

/** Input of a session that may use a vault, in a hand with repository `work`. */
export function sessionInput(
  world: Servers,
  script: string,
  options: { vaultId?: string; hasRepository?: boolean; hosts?: readonly string[] } = {},
): object {
  const { api, elsewhere, git, mcp, bearerMcp } = world;
  const { vaultId = 'team', hasRepository = true } = options;
  const hosts = [
    ...(options.hosts ?? []),
    ...[api.tlsPort, api.plainPort].map((port) => `api.test:${port}`),
    ...[elsewhere.tlsPort, elsewhere.plainPort].map((port) => `elsewhere.test:${port}`),
  ];
  const repository = {
    type: 'github_repository',
    url: gitUrl(git.port, 'work'),
    credential: { vault_id: vaultId, credential_id: 'git' },
    push: { branches: ['drover/*'] },
  };
  const servers = { oauth: mcp.port, bearer: bearerMcp.port };
  return {
    agent: {
      tools: [
        { type: 'agent_toolset_20260401' },
        ...Object.keys(servers).map((name) => ({
          type: 'mcp_toolset',
          mcp_server_name: name,
          default_config: { permission_policy: { type: 'always_allow' } },
        })),
      ],
      mcp_servers: Object.entries(servers).map(([name, port]) => ({
        type: 'url',
        name,
        url: mcpUrl(port),
      })),
    },
    environment: { networking: { type: 'limited', allowed_hosts: hosts } },
    resources: hasRepository ? [repository] : [],
    vault_ids: [vaultId],
    initial_events: script,
  };
}
