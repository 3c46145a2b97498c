import type { Report } from './report.ts';
import { measureCredentialReads } from './vault/credential-reads.ts';
import { measureGit } from './vault/git-transfer.ts';
import { measureMcpCalls } from './vault/mcp-calls.ts';

/** What it costs that credentials are out of reach: each part by the gateway or vault, and directly. */
export async function run(): Promise<Report> {
  const parts = [await measureCredentialReads(), await measureMcpCalls(), await measureGit()];
  return {
    bench: 'vault',
    figures: Object.assign({}, ...parts.map(({ figures }) => figures)),
    targets: parts.flatMap(({ targets }) => targets),
    baseline: Object.assign({}, ...parts.map(({ baseline }) => baseline)),
  };
}
