package natstest

import (
	"io"
	"net"
	"testing"
	"time"
)

// echo runs an echo server, and a proxy in front of it.
func echo(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	p, err := newProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close(); listener.Close() })
	p.point(listener.Addr().String())
	return p
}

func dial(t *testing.T, p *proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(startTime))
	return conn
}

// refuses returns whether a new connection is closed before it gets any byte.
func refuses(t *testing.T, p *proxy) bool {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		return true
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(startTime))
	return !said(conn, "hello")
}

func said(conn net.Conn, text string) bool {
	if _, err := conn.Write([]byte(text)); err != nil {
		return false
	}
	return heard(conn, text)
}

func heard(conn net.Conn, text string) bool {
	answer := make([]byte, len(text))
	_, err := io.ReadFull(conn, answer)
	return err == nil && string(answer) == text
}

// silent checks that nothing comes for a moment.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	defer conn.SetReadDeadline(time.Now().Add(startTime))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
		t.Errorf("read %d bytes, error %v; want silence", n, err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func TestProxyCutTwiceIsHealedTwice(t *testing.T) {
	p := echo(t)
	before := dial(t, p)
	if !said(before, "hello") {
		t.Fatal("no answer through the proxy")
	}
	first, second := p.cut(), p.cut()
	if said(before, "hello") {
		t.Error("an answer through a connection that was cut")
	}
	first()
	first()
	if !refuses(t, p) {
		t.Error("an answer while the second cut stands")
	}
	second()
	if !said(dial(t, p), "hello") {
		t.Error("no answer after both cuts were healed")
	}
}

func TestProxyStallKeepsConnectionsAndBytes(t *testing.T) {
	p := echo(t)
	old := dial(t, p)
	if !said(old, "hello") {
		t.Fatal("no answer through the proxy")
	}
	first, second := p.stall(), p.stall()
	old.Write([]byte("late"))
	recent := dial(t, p)
	recent.Write([]byte("new"))
	silent(t, old)
	first()
	first()
	silent(t, old)
	silent(t, recent)
	second()
	if !heard(old, "late") || !heard(recent, "new") {
		t.Error("what was said while stalled has not come")
	}
}

func TestProxyCutEndsAStalledConnection(t *testing.T) {
	p := echo(t)
	conn := dial(t, p)
	if !said(conn, "hello") {
		t.Fatal("no answer through the proxy")
	}
	defer p.stall()()
	conn.Write([]byte("lost"))
	defer p.cut()()
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("error %v, want a closed connection", err)
	}
}

func TestProxyPassesTheEndOn(t *testing.T) {
	p := echo(t)
	conn := dial(t, p)
	conn.Write([]byte("last words"))
	conn.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(conn); err != nil || string(answer) != "last words" {
		t.Errorf("%q, error %v", answer, err)
	}
}

func TestProxyRefusesForAServerThatIsDown(t *testing.T) {
	p := echo(t)
	p.point("")
	if !refuses(t, p) {
		t.Error("an answer of a server that is down")
	}
}

func TestProxyClosesWhileStalled(t *testing.T) {
	p := echo(t)
	conn := dial(t, p)
	if !said(conn, "hello") {
		t.Fatal("no answer through the proxy")
	}
	p.stall()
	waiting := dial(t, p)
	waiting.Write([]byte("lost"))
	conn.Write([]byte("lost"))
	p.close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("error %v, want a closed connection", err)
	}
}
