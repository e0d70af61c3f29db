package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
	"loteria/bench/generator"
	"loteria/bench/process"
	"loteria/codec"
)

// floor measures the answers of a minimal server in its own process: the best
// that any server can reach on this machine.
func (l *lab) floor(folder string) (*generator.Report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(l.Ctx, self, "--floor")
	cmd.Dir = folder
	server, err := process.Start(cmd, process.Logs(`serving on (\S+)`))
	if err != nil {
		return nil, err
	}
	report, err := l.load(server, 1, 1)
	return report, errors.Join(err, server.Kill())
}

// serveFloor serves one connection, without a goroutine or a poller in between.
// It only looks for the end of each frame, appends to a file as many bytes as the
// rows would have, syncs it, and answers SUCCESS.
func serveFloor(stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "serving on %s\n", listener.Addr())
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	socket, err := conn.(*net.TCPConn).File() // blocks, unlike the connection
	if err != nil {
		return err
	}
	defer socket.Close()
	ledger, err := os.Create("floor")
	if err != nil {
		return err
	}
	defer ledger.Close()
	answer, err := codec.AppendFrame(nil, &codec.Success{Document: "1", Number: "1"})
	if err != nil {
		return err
	}
	fd := int(socket.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		return err
	}
	buffer := make([]byte, 2*codec.MaxFrame)
	for {
		size, err := readFrame(fd, buffer)
		if err != nil {
			return err
		}
		if _, err := unix.Write(int(ledger.Fd()), buffer[:size*6/7]); err != nil { // rows are that much shorter
			return err
		}
		if err := unix.Fdatasync(int(ledger.Fd())); err != nil {
			return err
		}
		if _, err := unix.Write(fd, answer); err != nil {
			return err
		}
	}
}

// readFrame reads one frame into the buffer, and returns its size. The peer
// sends one at a time.
func readFrame(fd int, buffer []byte) (int, error) {
	const overhead = 6 // length, type and delimiter
	for n := 0; ; {
		k, err := unix.Read(fd, buffer[n:])
		switch {
		case err != nil:
			return 0, err
		case k <= 0:
			return 0, io.EOF
		}
		n += k
		if n < overhead {
			continue
		}
		size := int(binary.BigEndian.Uint32(buffer)) + overhead
		if size > len(buffer) || n > size {
			return 0, errors.New("more came than one frame")
		}
		if n == size {
			return size, nil
		}
	}
}
