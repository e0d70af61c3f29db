package progress

import (
	"fmt"
	"testing"
)

// Where bars for each would take more than half of the terminal, there is one for
// all.
func TestGroup(t *testing.T) {
	for rows, want := range map[int][]string{
		4: {`one +\[=+\] 100% +3 / 3 .* in .*`, `two +\[=*>?-+\] +50% +2 / 4 .* stopped`},
		3: {`both +\[=+>?-+\] +71% +5 / 7 .* stopped`},
	} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			bars, screen, end := open(t, 90, rows)
			group := bars.AddGroup(2, func(i int) string { return []string{"one", "two"}[i] }, "both")
			group.SetTotal(0, 3)
			group.Set(0, 3, true)
			group.SetTotal(1, 4)
			group.Set(1, 2, false)
			end()
			wantLines(t, screen, want...)
		})
	}
	var none *Group
	none.SetTotal(0, 1)
	none.Set(0, 1, true)
}
