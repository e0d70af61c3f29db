package natsledger

import (
	"fmt"
	"strings"
)

// DamageError says where a stream is not as a contest's must be: a message is
// missing, or one is there that no central has written.
type DamageError struct {
	Stream   string
	Sequence uint64 // of the message; 0 is the stream as a whole
	Agency   int    // whose message it is; 0 when of none, or not known
	Server   string // whose copy was read; empty when all have the same, or it is not known
	Found    string
	Expected string

	missing bool // the message is missing, rather than wrong
}

// Error says all of it in one line.
func (e *DamageError) Error() string {
	var where strings.Builder
	fmt.Fprintf(&where, "stream %s", e.Stream)
	if e.Sequence > 0 {
		fmt.Fprintf(&where, ", message %d", e.Sequence)
	}
	if e.Agency > 0 {
		fmt.Fprintf(&where, ", agency %d", e.Agency)
	}
	if e.Server != "" {
		fmt.Fprintf(&where, ", as %s has it", e.Server)
	}
	return fmt.Sprintf("%s: %s, expected %s", &where, e.Found, e.Expected)
}
