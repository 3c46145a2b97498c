import { loadWorkflowBundle, SHIPPED_BUNDLES } from './workflow-bundle.ts';

// For an image: workers find the bundle there, and need nothing to make one with.
console.log(await loadWorkflowBundle(SHIPPED_BUNDLES));
