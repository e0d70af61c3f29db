package agency

import (
	"slices"
	"testing"
)

// A dropped address leaves the others in their turn.
func TestDropAddress(t *testing.T) {
	for name, test := range map[string]struct {
		next    int
		drop    string
		ok      bool
		then    string
		rotates []string
	}{
		"the one that is next": {1, "b", true, "c", []string{"a", "c"}},
		"the last":             {2, "c", true, "a", []string{"a", "b"}},
		"one before":           {2, "a", true, "c", []string{"b", "c"}},
		"one behind":           {0, "c", true, "a", []string{"a", "b"}},
		"another":              {1, "d", false, "b", []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := rotation{[]string{"a", "b", "c"}, test.next}
			if ok := r.drop(test.drop); ok != test.ok || r.address() != test.then || !slices.Equal(r.addresses, test.rotates) {
				t.Errorf("%v, next is %s of %q", ok, r.address(), r.addresses)
			}
		})
	}
	r := rotation{[]string{"a"}, 0}
	if r.drop("a") || r.address() != "a" {
		t.Error("the only address is taken out")
	}
}
