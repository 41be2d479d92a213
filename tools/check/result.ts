/** Problems fail the check; notes are only shown. */
export interface CheckResult {
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}
