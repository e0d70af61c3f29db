// Package deploy holds what an operator runs: Dockerfiles, configuration and
// scripts. Its Go files are tests of them; those that need containers are in
// e2e.
package deploy
