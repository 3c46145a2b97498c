/** Input of the SDK's bash tool, checked. */
export interface BashInput {
  readonly command: string | undefined;
  readonly restart: boolean;
  readonly timeoutMs: number;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** The longest delay a timer takes: 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The checked input, or what is wrong with it. */
export function readBashInput(input: Readonly<Record<string, unknown>>): BashInput | string {
  const command = input['command'] ?? '';
  const timeoutMs = input['timeout_ms'] ?? DEFAULT_TIMEOUT_MS;
  if (typeof command !== 'string') return 'bash: command must be a string';
  if (command.includes('\0')) return 'bash: command must not contain a NUL character';
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
    return 'bash: timeout_ms must be a number of milliseconds above 0';
  }
  return {
    command: command === '' ? undefined : command,
    restart: Boolean(input['restart']),
    timeoutMs: Math.min(timeoutMs, MAX_TIMEOUT_MS),
  };
}
