// Package chaos has only tests: several centrals on one ledger, and everything
// that may die, dies. The short form always runs. CHAOS=1 runs the long one, with
// processes; CHAOS_SEED repeats a run.
package chaos
