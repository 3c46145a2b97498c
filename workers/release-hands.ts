import { releaseAll } from '../activities/hands/local/release-all.ts';

/** Ends every local hand of the state folder named on the command line; workspaces are kept. */
const [stateFolder] = process.argv.slice(2);
if (stateFolder === undefined) throw new Error('usage: node workers/release-hands.ts STATE_FOLDER');
await releaseAll(stateFolder);
