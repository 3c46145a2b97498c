export interface VaultRecord {
  /** JSON with values in it. */
  readonly body: string;
  /** 1 for the first, one more with each write. */
  readonly version: number;
}

/**
 * What a backend keeps: JSON by name, `vaults/<id>` and `credentials/<vault>/<id>`. Everything
 * throws `VaultError`.
 */
export interface VaultRecords {
  read(name: string): Promise<VaultRecord | undefined>;
  /**
   * Replaces the version that was read, 0 for none, among all processes; whole and on disk, or not
   * at all.
   *
   * @returns The new version, or undefined when another one is there by now.
   */
  write(name: string, body: string, replaces: number): Promise<number | undefined>;
  /** What lies directly below a folder of names. */
  list(folder: string): Promise<readonly string[]>;
  /** Leaves nothing of the versions before this one. */
  forgetBefore(name: string, version: number): Promise<void>;
  close(): void;
}
