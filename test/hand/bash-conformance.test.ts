import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { betaBashTool } from '@anthropic-ai/sdk/tools/agent-toolset/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestHand, useLocalHands } from './local-hands.ts';

// The same commands through the SDK's bash tool and through ours: text and error must agree.

const hands = useLocalHands({ endAfter: 'all' });
let hand: TestHand;
let folder: string;
beforeAll(async () => {
  hand = await hands().provision();
  folder = mkdtempSync(join(tmpdir(), 'sdk-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Input = { command?: string; restart?: boolean; timeout_ms?: number };

/** Each row is a session of one shell: its calls run in order. */
const SESSIONS: readonly { readonly name: string; readonly calls: readonly Input[] }[] = [
  { name: 'output', calls: [{ command: 'echo hi' }, { command: 'printf "a\\nb\\n\\n\\n"' }] },
  { name: 'no output', calls: [{ command: 'true' }, { command: ':' }] },
  { name: 'error output', calls: [{ command: 'echo out; echo err >&2' }] },
  {
    name: 'exit codes',
    calls: [{ command: 'false' }, { command: '(exit 3)' }, { command: 'echo no; (exit 4)' }],
  },
  {
    name: 'state between calls',
    calls: [
      { command: 'cd /tmp; x=5; export Y=6; f() { echo f $1; }' },
      { command: 'pwd; echo $x $Y; f 1' },
      { command: 'bash -c "echo $Y"' },
    ],
  },
  {
    name: 'restart',
    calls: [
      { command: 'x=5' },
      { restart: true },
      { command: 'echo "[$x]"' },
      { command: 'echo again "[$x]"', restart: true },
    ],
  },
  { name: 'no command', calls: [{}, { command: '' }] },
  {
    name: 'standard input is empty',
    calls: [{ command: 'cat' }, { command: 'read line; echo "[$line]"' }],
  },
  {
    name: 'quotes and lines',
    calls: [
      { command: `echo 'it'"'"'s' "a \\"b\\"" $'c\\td'` },
      { command: 'cat <<EOF\nhere $((1 + 1))\nEOF' },
      { command: 'for i in 1 2 3; do\n  echo $i\ndone' },
      { command: 'echo a # comment' },
      { command: 'echo a; # comment\n# another\necho b' },
      { command: 'if true; then echo yes; fi &&\necho and' },
    ],
  },
  { name: 'unknown command', calls: [{ command: 'no_such_command_here' }] },
  { name: 'colours are taken out', calls: [{ command: "printf '\\033[31mred\\033[0m\\n'" }] },
  { name: 'characters beyond ASCII', calls: [{ command: 'echo "äöü 漢字 🚀"' }] },
  {
    name: 'a background process does not hold the call',
    calls: [
      { command: 'sleep 60 & echo started' },
      { command: 'kill %1; wait 2>/dev/null; echo ended' },
    ],
  },
  {
    name: 'output of the background comes with the call that runs then',
    calls: [
      { command: '(until [ -e go ]; do sleep 0.05; done; echo late) & echo first' },
      { command: 'touch go; wait; rm go; echo second' },
    ],
  },
  { name: 'set -e and a failure', calls: [{ command: 'set -e; true' }, { command: 'echo on' }] },
  {
    name: 'pipes',
    calls: [{ command: 'seq 1 100000 | head -3' }, { command: 'set -o pipefail; false | true' }],
  },
  { name: 'a marker in the output', calls: [{ command: 'echo __ANT_CMD_x_DONE__0' }] },
  { name: 'break outside a loop', calls: [{ command: 'break; echo on' }] },
];

/** The SDK counts lines over the whole session, ours within the command. */
function withoutLines(text: string): string {
  return text.replaceAll(/line \d+:/g, 'line N:');
}

test.each(SESSIONS)('$name → as the SDK has it', async ({ name, calls }) => {
  await hand.run('bash', { restart: true });
  const workdir = join(folder, name.replaceAll(' ', '-'));
  mkdirSync(workdir, { recursive: true });
  const sdk = betaBashTool({ workdir });
  try {
    for (const input of calls) {
      const [ours, theirs] = await Promise.all([
        hand.run('bash', { ...input }),
        runSdk(sdk, input),
      ]);
      expect({ ...ours, text: withoutLines(ours.text) }).toEqual(theirs);
    }
  } finally {
    await sdk.close?.();
  }
});

/** Where the SDK's text is our first line, and ours goes on. */
const ENDINGS: readonly { readonly name: string; readonly input: Input }[] = [
  { name: 'timeout', input: { command: 'echo before; sleep 60', timeout_ms: 400 } },
  { name: 'the shell exits', input: { command: 'echo before; exit 3' } },
];

test.each(ENDINGS)('$name → the SDK’s words first, then the output', async ({ input }) => {
  await hand.run('bash', { restart: true });
  const sdk = betaBashTool({ workdir: folder });
  try {
    const [ours, theirs] = await Promise.all([hand.run('bash', { ...input }), runSdk(sdk, input)]);
    const [first, ...rest] = ours.text.split('\n');
    expect({ text: first, is_error: ours.is_error }).toEqual(theirs);
    expect(rest).toEqual(['Output until then:', 'before']);
  } finally {
    await sdk.close?.();
  }
});

async function runSdk(
  tool: ReturnType<typeof betaBashTool>,
  input: Input,
): Promise<{ text: string; is_error: boolean }> {
  try {
    const text = await tool.run(input);
    return { text: withoutLines(String(text)), is_error: false };
  } catch (error) {
    return { text: withoutLines(error instanceof Error ? error.message : ''), is_error: true };
  }
}
