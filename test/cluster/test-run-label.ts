/** On the namespaces that one run of the cluster suite makes. */
export const TEST_RUN_LABEL = 'drover.dev/test-run';
