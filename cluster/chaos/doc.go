// Package chaos has only tests: several centrals on one ledger, and everything
// that may die, dies. The short form runs always. CHAOS=1 runs the long one, with
// processes; CHAOS_SEED repeats a run.
package chaos
