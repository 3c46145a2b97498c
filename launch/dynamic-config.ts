/**
 * Settings of a Temporal server that Drover starts, as `KEY=JSON` for `--dynamic-config-value`. The
 * defaults are made for large clusters; a lone session waits for each of them.
 */
export const DYNAMIC_CONFIG: readonly string[] = [
  // Queues are polled at most 20 times a second per shard: up to 50 ms for every hop.
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.visibilityProcessorMaxPollRPS=2000',
  // Timers may fire up to a second late: every retry and every heartbeat timeout.
  'history.timerProcessorMaxTimeShift="10ms"',
  // A worker killed within a workflow task holds its session for this long; the default is 10 s.
  'history.defaultWorkflowTaskTimeout="3s"',
];
