import { GIT_ROOT } from './git-route.ts';

/**
 * Beginning of the remotes of a hand's repositories. It is nobody's name: where the gateway is, and
 * the token for it, is told to each hand anew, and no file of a repository has it.
 */
export const REMOTE_ROOT = 'http://gateway.invalid/git/';

/**
 * Variables by which the git of a hand's commands reaches repositories through the gateway.
 *
 * @param gateway Like `http://10.0.0.5:3128`.
 */
export function gitVariables(gateway: string, token: string): Readonly<Record<string, string>> {
  const root = `${gateway}${GIT_ROOT}`;
  const settings: readonly (readonly [name: string, value: string])[] = [
    [`url.${root}.insteadOf`, REMOTE_ROOT],
    [`http.${root}.extraHeader`, `Authorization: Bearer ${token}`],
    // The gateway is asked itself, not as the proxy that it is too.
    [`http.${root}.proxy`, ''],
  ];
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(settings.length)],
    ...settings.flatMap(([name, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, name],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}
