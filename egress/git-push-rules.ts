import type { PushCommand } from './git-push-head.ts';
import type { TokenRepository } from './hand-token.ts';

type PushRules = TokenRepository['push'];

const KINDS = { 'refs/heads/': 'branch', 'refs/tags/': 'tag' } as const;
/** What no ref may be called (git-check-ref-format). */
const NOT_A_NAME = /[\p{Cc}\s~^:?*[\\]|\.\.|@\{|\/\/|\/\.|^[./]|[./]$|\.lock(?:\/|$)/u;

/**
 * Why a command may not go on, as far as it tells by itself; undefined when it may. Whether a branch
 * moves forward must be asked besides, when it is moved and force is not allowed.
 */
export function whyRefused({ ref, from, to }: PushCommand, rules: PushRules): string | undefined {
  const prefix = Object.keys(KINDS).find((start) => ref.startsWith(start)) as
    | keyof typeof KINDS
    | undefined;
  if (prefix === undefined) return 'only branches and tags can be pushed';
  const kind = KINDS[prefix];
  const name = ref.slice(prefix.length);
  const allowed = kind === 'branch' ? rules.branches : rules.tags;
  if (NOT_A_NAME.test(name)) return `this is no name of a ${kind}`;
  if (!allowed.some((pattern) => matches(pattern, name))) {
    return `this session may not push ${kind} ${name} (${wordsOf(kind, allowed)})`;
  }
  if (to === null && !rules.delete) return `this session may not delete a ${kind}`;
  if (kind === 'tag' && from !== null && to !== null && !rules.force) {
    return 'this session may not move a tag';
  }
  return undefined;
}

/** Commands that may go on only if they move a branch forward. */
export function movesToProve(commands: readonly PushCommand[], rules: PushRules): readonly Move[] {
  if (rules.force) return [];
  return commands.flatMap(({ ref, from, to }) =>
    from === null || to === null || from === to ? [] : [{ ref, from, to }],
  );
}

export interface Move {
  readonly ref: string;
  readonly from: string;
  readonly to: string;
}

function wordsOf(kind: string, allowed: readonly string[]): string {
  if (allowed.length === 0) return kind === 'branch' ? 'it may push none' : 'it may push no tags';
  const names = allowed.join(', ');
  return `it may push ${names.length > 200 ? `${names.slice(0, 200)}…` : names}`;
}

/** `*` is any run of characters. In time that grows with the lengths only. */
function matches(pattern: string, name: string): boolean {
  const [first = '', ...parts] = pattern.split('*');
  if (!name.startsWith(first)) return false;
  const last = parts.pop();
  if (last === undefined) return name === first;
  let from = first.length;
  for (const part of parts) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}
