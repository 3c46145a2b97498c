import { type Conversation, type Exchange, readConversation } from './conversation.ts';
import type { Player, RehearsalBlock, Turn } from './player.ts';
import { calls, everyMs, says, text } from './script.ts';
import { SEED_REPOSITORY } from './seed-repository.ts';
import { failingTest, isGreen } from './test-output.ts';

/** What `npm start` asks when it is given nothing else. */
export const BUILT_IN_TASK =
  'The tests of the repository in the workspace fail. Find out why, fix the cause, and prove it by running them.';

export interface BuiltInTaskOptions {
  /** Wait before each event of an answer, in milliseconds, so that a person can watch. Default 0. */
  readonly paceMs?: number;
}

/**
 * The player of the first run. It plays a script, but on real tools: it goes on from what they
 * said, and says so when that is not what the script needs. Stateless, so it may be asked twice.
 */
export function builtInTask({ paceMs = 0 }: BuiltInTaskOptions = {}): Player {
  return (request) => {
    const conversation = readConversation(request);
    const blocks =
      conversation.task === BUILT_IN_TASK ? fixTheTests(conversation) : anotherTask(conversation);
    return turn(blocks, paceMs);
  };
}

function turn(content: readonly RehearsalBlock[], paceMs: number): Turn {
  return says(content, paceMs > 0 ? { pace: everyMs(paceMs) } : {});
}

const BUG = 'seconds = Number(match[1]) * SECONDS[match[2]];';
const FIX = 'seconds += Number(match[1]) * SECONDS[match[2]];';
const RUN_TESTS = 'node --test';
/** The home of the person who runs this is none of the sandbox's business. */
const NO_HOME = 'export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null';
const LOOK = `${NO_HOME}; ls -R . && git log --oneline && git status --short`;
const COMMIT =
  `${NO_HOME}; git -c user.name=Drover -c user.email=drover@example.com ` +
  "commit --quiet --all -m 'Add up the units of a duration' && git log --oneline && git show --stat HEAD";

/** One step of the script: what it does next, given all that the tools said so far. */
function fixTheTests({ exchanges }: Conversation): RehearsalBlock[] {
  const failed = exchanges.find(({ isError, input }) => isError && input['command'] !== RUN_TESTS);
  if (failed !== undefined) return stop(`\`${failed.name}\` failed: ${firstLine(failed.output)}`);
  const [, , testFile, source, tests, edit, testsAgain, commit] = exchanges;
  if (exchanges.length === 0) return seed();
  if (exchanges.length === 1) return look();
  if (exchanges.length < 4) return read();
  if (tests === undefined) return runTests(testFile);
  if (edit === undefined) return fix(tests, source);
  if (testsAgain === undefined) {
    return [text('Now the tests again.'), calls('bash', { command: RUN_TESTS })];
  }
  if (!isGreen(testsAgain.output)) {
    return stop(`the tests still fail: ${failureIn(testsAgain)}`);
  }
  return commit === undefined ? [text('Green. I commit the fix.'), commitCall()] : summary(tests);
}

function seed(): RehearsalBlock[] {
  return [
    {
      type: 'thinking',
      thinking:
        'This is a rehearsal: no model thinks here, a script is played. What the tools do is real.',
      signature: 'rehearsal',
    },
    text('First I need the repository: I make it if the workspace is empty.'),
    calls('bash', { command: SEED_REPOSITORY }),
  ];
}

function look(): RehearsalBlock[] {
  return [text('Let me look around.'), calls('bash', { command: LOOK })];
}

function read(): RehearsalBlock[] {
  return [
    text('The last commit touched the parser. I read its test and its source.'),
    calls('read', { file_path: 'test/parse.test.js' }),
    calls('read', { file_path: 'src/parse.js' }),
  ];
}

function runTests(testFile: Exchange | undefined): RehearsalBlock[] {
  const count = testFile?.output.match(/^(\s*\d+\s+)?test\(/gm)?.length ?? 0;
  return [
    text(`${count} tests for the parser. I run them all.`),
    calls('bash', { command: RUN_TESTS }),
  ];
}

function fix(tests: Exchange, source: Exchange | undefined): RehearsalBlock[] {
  if (isGreen(tests.output)) return stop('the tests pass already, so there is nothing to fix');
  if (!source?.output.includes(BUG)) {
    return stop(`${failureIn(tests)}, and src/parse.js is not the source that the script knows`);
  }
  return [
    text(
      `${failureIn(tests)}. The loop in src/parse.js overwrites \`seconds\` with each unit instead of adding to it.`,
    ),
    calls('edit', { file_path: 'src/parse.js', old_string: BUG, new_string: FIX }),
  ];
}

function commitCall(): RehearsalBlock {
  return calls('bash', { command: COMMIT });
}

function summary(tests: Exchange): RehearsalBlock[] {
  return [
    text(
      `The tests failed because \`parseDuration\` kept only the last unit: ${failureIn(tests)}. ` +
        'It now adds the units up. All tests pass, and the fix is committed. ' +
        '(A rehearsal: a script chose these steps, the sandbox ran them.)',
    ),
  ];
}

function stop(reason: string): RehearsalBlock[] {
  return [text(`I stop here: ${reason}. (A rehearsal: the script has no answer to that.)`)];
}

/** For all that the script does not know: one small real thing, and the truth. */
function anotherTask({ task, exchanges }: Conversation): RehearsalBlock[] {
  const [note] = exchanges;
  if (note === undefined) {
    return [
      text('This is a rehearsal model. I note down what you asked and look at the workspace.'),
      calls('bash', { command: noteCommand(task) }),
    ];
  }
  const outcome = note.isError
    ? `That failed: ${firstLine(note.output)}.`
    : 'Your request stands in NOTES.md in the workspace.';
  return [
    text(
      `${outcome} I cannot do more: no model is behind this session, only a script that knows one task. ` +
        'Set ANTHROPIC_API_KEY and start again to have a real one.',
    ),
  ];
}

/** Quoted by a delimiter that the text cannot hold, since any line of it could be one. */
function noteCommand(task: string): string {
  let delimiter = 'END_OF_NOTE';
  while (task.includes(delimiter)) delimiter += '_';
  return `cat >> NOTES.md <<'${delimiter}'\n${task}\n${delimiter}\nls -la`;
}

function failureIn({ output }: Exchange): string {
  const failure = failingTest(output);
  if (failure === undefined) return `\`${RUN_TESTS}\` said "${firstLine(output)}"`;
  const { name, expected, actual } = failure;
  return `"${name}" expected ${expected ?? 'something else'} and got ${actual ?? 'no value'}`;
}

function firstLine(output: string): string {
  return output.trim().split('\n', 1)[0] ?? '';
}
