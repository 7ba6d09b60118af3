package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestBounds: every number of the section train has an upper bound, so that no
// product overflows and no memory is allocated by a huge number.
func TestBounds(t *testing.T) {
	for key, most := range map[string]int{
		"epochs": 100_000, "max_steps": 1_000_000_000, "batch_size": 1_000_000, "eval_batch_size": 1_000_000,
		"eval_every": 1_000_000_000, "micro_batch_tokens": 1_000_000_000, "early_stopping": 1_000_000,
		"log_every":  1_000_000,
		"save_every": 1_000_000_000, "keep_checkpoints": 1_000_000,
	} {
		t.Run("key="+key, func(t *testing.T) {
			for _, value := range []int{most + 1, 1 << 62} {
				set := fmt.Sprintf("train.%s=%d", key, value)
				got, want := one(t, []string{set}, nil), fmt.Sprintf(" to %d", most)
				if !strings.HasPrefix(got, fmt.Sprintf("config: --set %s: is %d; want ", set, value)) ||
					!strings.HasSuffix(got, want) {
					t.Errorf("got %s; want it to end in %q", got, want)
				}
			}
			mustLoad(t, "", append([]string{"train." + key + "=" + strconv.Itoa(most)}, minimal...), nil)
		})
	}
	const want = "config: --set train.extend_epochs=[2,100001]: is 100001; want 1 to 100000"
	if got := one(t, []string{"train.extend_epochs=[2,100001]"}, nil); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
