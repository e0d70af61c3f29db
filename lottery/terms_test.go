package lottery_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestSetDeadline says which deadline may follow which, and when.
func TestSetDeadline(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.FixedZone("ART", -3*60*60))
	past, ago, soon, later, never := now.AddDate(-1, 0, 0), now.Add(-time.Second), now.Add(time.Second), now.AddDate(0, 0, 23), time.Time{}
	unused := func(*ledgertest.Contest) {}
	betting := func(c *ledgertest.Contest) { c.MustStore(ledgertest.Batch(t, ledgertest.Bets(1, 0, 1)...)) }
	ended := func(c *ledgertest.Contest) { c.MustFinish(1) }
	drawn := func(c *ledgertest.Contest) {
		c.MustFinish(1, 2)
		c.CheckDraw(true, nil, nil)
	}
	for name, test := range map[string]struct {
		kept  time.Time
		phase func(*ledgertest.Contest)
		set   time.Time
		want  time.Time
		says  []string // why not, or nil
	}{
		"none":                         {never, unused, never, never, nil},
		"the first":                    {never, unused, later, later, nil},
		"the first, with bets":         {never, betting, later, later, nil},
		"no other one":                 {later, betting, never, later, nil},
		"the same":                     {later, betting, later.UTC(), later, nil},
		"a later one":                  {soon, betting, later, later, nil},
		"an earlier one":               {later, betting, soon, soon, nil},
		"a later one, one has ended":   {soon, ended, later, later, nil},
		"past, unused":                 {never, unused, past, never, []string{"2025-12-01T12:00:00-03:00 has passed", "nobody has bet"}},
		"now, unused":                  {never, unused, now, never, []string{"has passed"}},
		"past and kept, unused":        {ago, unused, never, ago, []string{"has passed", "nobody has bet"}},
		"after a past one, unused":     {ago, unused, later, later, nil},
		"past instead, unused":         {later, unused, past, later, []string{"has passed"}},
		"past, with bets":              {never, betting, past, past, nil},
		"past, one has ended":          {never, ended, past, past, nil},
		"past instead, with bets":      {later, betting, past, later, []string{"2025-12-01T12:00:00-03:00 has passed", "may bet until 2026-12-24"}},
		"after a past one, with bets":  {ago, betting, later, ago, []string{"2026-12-24T12:00:00-03:00 comes too late", "has ended at 2026-12-01T11:59:59-03:00", "another contest"}},
		"before a past one, with bets": {ago, betting, past, ago, []string{"comes too late"}},
		"the past one, with bets":      {ago, betting, ago, ago, nil},
		"drawn, none":                  {never, drawn, later, never, nil},
		"drawn, another":               {later, drawn, soon, later, nil},
		"drawn, past":                  {later, drawn, past, later, nil},
		"drawn, after a past one":      {ago, drawn, later, ago, []string{"has ended at"}},
		"drawn, the past one":          {ago, drawn, ago, ago, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ledger, err := new(ledgertest.Memory).Open(2)
			if err != nil {
				t.Fatal(err)
			}
			c := ledgertest.NewContest(t, ledger)
			if err := c.SetDeadline(test.kept, now.AddDate(-2, 0, 0)); err != nil {
				t.Fatal(err)
			}
			test.phase(c)
			err = c.SetDeadline(test.set, now)
			if errors.Is(err, lottery.ErrDeadline) != (test.says != nil) || err != nil && test.says == nil {
				t.Errorf("the error is %v", err)
			}
			for _, word := range test.says {
				if err != nil && !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not speak of %q: %v", word, err)
				}
			}
			if !c.Deadline().Equal(test.want) {
				t.Errorf("the deadline is %v, want %v", c.Deadline(), test.want)
			}
		})
	}
}

// TestDeadlineIsSharedByCentrals has one of two centrals on a ledger set a
// deadline that the other replaces: each knows what the other has set.
func TestDeadlineIsSharedByCentrals(t *testing.T) {
	m := new(ledgertest.Memory)
	var centrals [2]*ledgertest.Contest
	for i := range centrals {
		ledger, err := m.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		centrals[i] = ledgertest.NewContest(t, ledger)
	}
	now := time.Now()
	deadline := now.Add(time.Hour)
	if err := centrals[0].SetDeadline(deadline, now); err != nil {
		t.Fatal(err)
	}
	if got := centrals[1].Deadline(); !got.Equal(deadline) {
		t.Errorf("the other central knows of %v", got)
	}
	restore := m.Interrupt(false)
	if err := centrals[1].SetDeadline(deadline.Add(time.Hour), now); !errors.Is(err, lottery.ErrUnavailable) {
		t.Errorf("an interrupted ledger gives %v", err)
	}
	restore()
	if err := centrals[1].SetDeadline(deadline.Add(time.Hour), now); err != nil {
		t.Error(err)
	}
	if got := centrals[0].Deadline(); !got.Equal(deadline.Add(time.Hour)) {
		t.Errorf("the first central knows of %v", got)
	}
}
