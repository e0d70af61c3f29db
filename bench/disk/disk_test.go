package disk

import (
	"os"
	"testing"
	"time"
)

func TestAppend(t *testing.T) {
	folder := t.TempDir()
	a, err := Append(folder, 8192, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if a.BlockSize != 8192 || a.Throughput <= 0 || a.Syncs.TotalCount() == 0 || a.Syncs.ValueAtQuantile(50) <= 0 {
		t.Errorf("measured was %d bytes, %v bytes/s and %d syncs", a.BlockSize, a.Throughput, a.Syncs.TotalCount())
	}
	best, err := Best(folder, 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if best.BlockSize < 1<<20 || best.Throughput <= 0 {
		t.Errorf("the best is %v bytes/s with blocks of %d bytes", best.Throughput, best.BlockSize)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
	if _, err := Append(folder+"/nowhere", 8192, time.Millisecond); err == nil {
		t.Error("appended in a folder that there is not")
	}
}
