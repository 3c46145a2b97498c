import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SnapshotRecord } from '../../activities/hands/kubernetes/kept-workspaces.ts';
import { workspaceNotice } from '../../activities/hands/kubernetes/workspace-notice.ts';
import { folderUrl, openStore } from '../../store/open-store.ts';
import { describeKept } from '../support/kept-conformance.ts';

describeKept('workspaces in a folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'drover-kept-'));
  const close = async () => rmSync(folder, { recursive: true, force: true });
  return { store: await openStore(folderUrl(folder)), close };
});

const SNAPSHOT: SnapshotRecord = {
  type: 'snapshot',
  generation: 1,
  at: '2026-01-02T03:04:05.000Z',
  content: 'c',
  bytes: 1,
  sha256: '',
  files: 1,
  unpacked_bytes: 1,
  skipped: 0,
  excludes: [],
};
const MISSED = { type: 'missed', generation: 2, at: '', because: 'it is too large' } as const;

test.each([
  ['the first hand', 1, { snapshot: undefined, missed: undefined }, null],
  [
    'nothing kept',
    2,
    { snapshot: undefined, missed: undefined },
    '[this is a new, empty sandbox: the one before it has ended, and its files and processes are gone]',
  ],
  [
    'not kept, and why',
    3,
    { snapshot: undefined, missed: MISSED },
    /^\[this is a new, empty sandbox: .*; its workspace was not kept, because it is too large\]$/,
  ],
  [
    'that of the one before',
    2,
    { snapshot: SNAPSHOT, missed: undefined },
    /its files were restored from a snapshot of 2026-01-02T03:04:05.000Z, and its processes are gone\]$/,
  ],
  [
    'with something left out',
    2,
    { snapshot: { ...SNAPSHOT, excludes: ['*.log'], skipped: 3 }, missed: undefined },
    /\(without what matches \*\.log; without 3 files that could not be read\)/,
  ],
  [
    'that of an earlier one',
    3,
    { snapshot: SNAPSHOT, missed: undefined },
    /older snapshot, of 2026-01-02T03:04:05.000Z: whatever was changed since then is lost\]$/,
  ],
  [
    'that of an earlier one, and why',
    3,
    { snapshot: SNAPSHOT, missed: MISSED },
    /not kept, because it is too large\. What is here was restored from an older snapshot/,
  ],
])('%s → what the model is told', (_what, generation, kept, words) => {
  const notice = workspaceNotice(generation, kept);
  if (words instanceof RegExp) expect(notice).toMatch(words);
  else expect(notice).toBe(words);
});
