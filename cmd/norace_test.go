//go:build linux && !race

package cmd_test

const raced = false
