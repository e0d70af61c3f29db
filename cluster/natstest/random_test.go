package natstest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRandRepeats(t *testing.T) {
	t.Setenv(SeedVariable, "18446744073709551615")
	a, b := Rand(t), Rand(t)
	for range 10 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("%d and %d from one seed", x, y)
		}
	}
	t.Setenv(SeedVariable, "")
	if a.Uint64() == Rand(t).Uint64() {
		t.Error("the same without a seed")
	}
}

func TestFlipByte(t *testing.T) {
	for offset, want := range map[int64]string{0: "\x9ebc", 1: "a\x9dc", -1: "ab\x9c"} {
		path := filepath.Join(t.TempDir(), "1.blk")
		if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
		FlipByte(t, path, offset)
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("at %d: %q, want %q", offset, got, want)
		}
	}
}

func TestBlocksAreInOrder(t *testing.T) {
	c := &Cluster{t: t, servers: []*node{{name: "nats-0", dir: t.TempDir()}}}
	folder := filepath.Join(c.StoreDir(0), "jetstream", "$G", "streams", "BETS", "msgs")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"10.blk", "9.blk", "index.db", "100.blk"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, path := range c.Blocks(0, "BETS") {
		names = append(names, filepath.Base(path))
	}
	if len(names) != 3 || names[0] != "9.blk" || names[1] != "10.blk" || names[2] != "100.blk" {
		t.Errorf("%v, want 9, 10, 100", names)
	}
}
