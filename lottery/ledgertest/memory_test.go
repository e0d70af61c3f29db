package ledgertest_test

import (
	"testing"

	"go.uber.org/goleak"
	"loteria/lottery/ledgertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) *ledgertest.Storage { return new(ledgertest.Memory).Storage() })
}
