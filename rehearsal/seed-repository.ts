/**
 * Shell text that makes the repository of the built-in task in an empty workspace: a small library
 * whose last commit broke it. In a workspace that holds anything it does nothing and says so.
 */
export const SEED_REPOSITORY = `
# make a small repository, if the workspace is empty
if [ -n "$(ls -A)" ]; then echo "the workspace is not empty; leaving it as it is"; else (
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Upstream GIT_AUTHOR_EMAIL=upstream@example.com
export GIT_COMMITTER_NAME=Upstream GIT_COMMITTER_EMAIL=upstream@example.com
git init --quiet --initial-branch=main .
mkdir -p src test
cat > package.json <<'END'
{
  "name": "durations",
  "version": "1.1.0",
  "type": "module",
  "scripts": { "test": "node --test" }
}
END
cat > README.md <<'END'
# durations

\`parseDuration('90s')\` gives 90, in seconds. \`formatDuration(90)\` gives \`1m 30s\`.
END
cat > src/format.js <<'END'
const UNITS = [['h', 3600], ['m', 60], ['s', 1]];

/** Seconds as words: 5400 → '1h 30m'. */
export function formatDuration(seconds) {
  const parts = [];
  let rest = seconds;
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0) parts.push(count + name);
  }
  return parts.join(' ') || '0s';
}
END
cat > src/parse.js <<'END'
const SECONDS = { h: 3600, m: 60, s: 1 };

/** Words as seconds: '90s' → 90. */
export function parseDuration(text) {
  const match = /^(\\d+)([hms])$/.exec(text.trim());
  if (match === null) throw new SyntaxError('not a duration: ' + text);
  return Number(match[1]) * SECONDS[match[2]];
}
END
cat > test/format.test.js <<'END'
import assert from 'node:assert/strict';
import test from 'node:test';
import { formatDuration } from '../src/format.js';

test('formats seconds as the largest units', () => {
  assert.equal(formatDuration(5400), '1h 30m');
  assert.equal(formatDuration(0), '0s');
});
END
cat > test/parse.test.js <<'END'
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseDuration } from '../src/parse.js';

test('parses one unit', () => {
  assert.equal(parseDuration('90s'), 90);
  assert.equal(parseDuration('2h'), 7200);
});

test('refuses what is not a duration', () => {
  assert.throws(() => parseDuration('soon'), SyntaxError);
});
END
git add . && git commit --quiet -m 'Parse and format durations'
cat > src/parse.js <<'END'
const SECONDS = { h: 3600, m: 60, s: 1 };

/** Words as seconds: '1h 30m' → 5400. */
export function parseDuration(text) {
  let seconds = 0;
  for (const part of text.trim().split(/\\s+/)) {
    const match = /^(\\d+)([hms])$/.exec(part);
    if (match === null) throw new SyntaxError('not a duration: ' + text);
    seconds = Number(match[1]) * SECONDS[match[2]];
  }
  return seconds;
}
END
cat >> test/parse.test.js <<'END'

test('parses several units', () => {
  assert.equal(parseDuration('1h 30m'), 5400);
});
END
git commit --quiet --all -m 'Accept several units in one duration'
echo "made the repository"
) fi`.trim();
