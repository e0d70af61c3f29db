package agency

import (
	"os"
	"testing"

	"loteria/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
