/** What a hand's daemon is started with: its one argument, as JSON. */
export interface HandSettings {
  readonly instance: string;
  /** Where tools work. */
  readonly workspace: string;
  /** The journal. */
  readonly journal: string;
  /** Whole outputs of commands whose result is cut. */
  readonly output: string;
  /** `$TMPDIR` of commands. */
  readonly temporary: string;
  /** Further folders that the file tools may reach. */
  readonly roots: readonly string[];
  /** Told with the first result. */
  readonly notice?: string;
  /** File of more variables of commands, as JSON. */
  readonly variables?: string;
  /** The daemon has a pid namespace of its own. */
  readonly owns_namespace: boolean;
}
