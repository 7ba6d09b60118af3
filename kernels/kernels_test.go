package kernels

import (
	"fmt"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	all := []string{"sm_80", "sm_86", "sm_89", "sm_90a", "sm_120", "compute_80"}
	for _, c := range []struct {
		targets      []string
		major, minor int
		want         string
		ok           bool
	}{
		{all, 8, 0, "sm_80", true},
		{all, 8, 6, "sm_86", true},
		{all, 8, 7, "sm_86", true},
		{all, 8, 9, "sm_89", true},
		{all, 9, 0, "sm_90a", true},
		{all, 10, 0, "compute_80, compiled", true},
		{all, 12, 0, "sm_120", true},
		{all, 12, 1, "sm_120", true},
		{all, 7, 5, "none of [sm_80", false},
		{[]string{"sm_90a"}, 9, 1, "none of", false},
		{nil, 9, 0, "none: this binary was built without", false},
	} {
		t.Run(fmt.Sprintf("capability=%d.%d/targets=%d", c.major, c.minor, len(c.targets)), func(t *testing.T) {
			if got, ok := choose(c.targets, c.major, c.minor); !strings.HasPrefix(got, c.want) || ok != c.ok {
				t.Errorf("choose = %q, %v; want %q, %v", got, ok, c.want, c.ok)
			}
		})
	}
}
