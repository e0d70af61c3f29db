package reactor

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkTransports has five agencies send batches of 100 bets, with the window of
// batches in flight, without and with TLS. One operation is one batch.
func BenchmarkTransports(b *testing.B) {
	const agencies, size = 5, 100
	for _, window := range []int{1, 32} {
		for _, secured := range []bool{false, true} {
			b.Run(fmt.Sprintf("window=%d/tls=%t", window, secured), func(b *testing.B) {
				credentials := newCredentials(b)
				c := start(b, agencies, func(config *Config) { config.TLS, config.Journal = credentials.tls(), nil }, nil)
				ended := make(chan error, agencies)
				peers := make([]*peer, agencies)
				for i := range peers {
					if secured {
						peers[i] = c.dialAgency(i + 1)
					} else {
						peers[i] = c.dial()
					}
					_ = peers[i].SetDeadline(time.Time{})
					peers[i].send(resumeFrame(i + 1))
					peers[i].expect(pointFrame())
				}
				before := cpuTime()
				b.ResetTimer()
				for i, p := range peers {
					go func() {
						rawBets := losers(i+1, size)
						f, answer := batchFrame(rawBets...), successFrame(rawBets[0])
						n := (b.N + agencies - 1) / agencies
						room := make(chan struct{}, window)
						go func() {
							for range n {
								room <- struct{}{}
								_, _ = p.Write(f)
							}
						}()
						for range n {
							if err := p.match(answer); err != nil {
								ended <- err
								return
							}
							<-room
						}
						ended <- nil
					}()
				}
				for range agencies {
					if err := <-ended; err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
				for _, p := range peers {
					p.TCPConn.Close()
				}
			})
		}
	}
}

// cpuTime returns the CPU time that the process has used, in nanoseconds.
func cpuTime() int64 {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}
