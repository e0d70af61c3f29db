package natstest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"slices"
)

// StoreDir returns the folder of a server.
func (c *Cluster) StoreDir(i int) string { return c.servers[i].dir }

// Blocks returns the files in which a server keeps a stream's messages, the
// oldest first. They can be damaged while the server is down, with FlipByte or
// os.Truncate. It fails the test if there are none.
func (c *Cluster) Blocks(i int, stream string) []string {
	c.t.Helper()
	pattern := filepath.Join(c.servers[i].dir, "jetstream", "*", "streams", stream, "msgs", "*.blk")
	blocks, err := filepath.Glob(pattern)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(blocks) == 0 {
		c.t.Fatalf("%s has no block of the stream %s: nothing matches %s", c.Name(i), stream, pattern)
	}
	slices.SortFunc(blocks, func(a, b string) int { return blockNumber(a) - blockNumber(b) })
	return blocks
}

// blockNumber returns 12 for …/12.blk.
func blockNumber(path string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".blk"))
	return n
}

// FlipByte inverts the byte of a file at the offset, from the end if negative.
func FlipByte(t testing.TB, path string, offset int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := offset
	if at < 0 {
		at += int64(len(content))
	}
	if at < 0 || at >= int64(len(content)) {
		t.Fatalf("a byte at %d of %s, which has %d", offset, path, len(content))
	}
	content[at] ^= 0xff
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
