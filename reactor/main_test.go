package reactor

import (
	"os"
	"testing"

	"go.uber.org/goleak"
	"loteria/internal/leaktest"
)

// lasting are the goroutines of gnet's pool, which live as long as the process.
var lasting = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
	goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
}

func TestMain(m *testing.M) {
	if address := os.Getenv(listenVariable); address != "" {
		listenInProcess(address)
		return
	}
	os.Exit(leaktest.Run(m, lasting...))
}
