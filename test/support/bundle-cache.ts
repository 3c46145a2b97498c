import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Shared by all suites: a bundle is named by the hash of its sources. */
export const BUNDLE_CACHE = join(tmpdir(), 'drover-test-bundles');
