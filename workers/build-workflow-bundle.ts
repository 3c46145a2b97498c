import { loadWorkflowBundle, SHIPPED_BUNDLES } from './workflow-bundle.ts';

// For an image: workers find the bundles there, and need nothing to make one with.
for (const failures of ['clear', 'encoded'] as const) {
  console.log(await loadWorkflowBundle(SHIPPED_BUNDLES, failures));
}
