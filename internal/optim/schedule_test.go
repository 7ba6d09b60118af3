package optim_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/lor2c/lor2c/internal/optim"
)

// TestScheduleHuggingFace compares with testdata/schedule.py from the end of
// the warm-up on. During it, step s of w has s/w here and (s-1)/w there.
func TestScheduleHuggingFace(t *testing.T) {
	raw, err := os.ReadFile("testdata/schedule.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Schedule      string
			Total, Warmup int
			Ratio         float64
			Rates         []float64
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		t.Run(fmt.Sprintf("schedule=%s/total=%d/warmup=%d", c.Schedule, c.Total, c.Warmup), func(t *testing.T) {
			s := optim.Config{WarmupRatio: c.Ratio, Schedule: c.Schedule}.LRSchedule(c.Total)
			for i, want := range c.Rates {
				step := i + 1
				if step <= c.Warmup {
					want += 1 / float64(c.Warmup)
				}
				if got := s.Factor(step); !(math.Abs(got-want) <= 1e-15) {
					t.Errorf("Factor(%d) = %v; want %v", step, got, want)
				}
			}
		})
	}
}

// TestSchedule compares the schedules with values computed by hand. Of 12 steps, 4 are warm-up.
func TestSchedule(t *testing.T) {
	eighth, quarter := math.Cos(math.Pi/8), math.Sqrt2/2
	for schedule, want := range map[string][]float64{
		"cosine": {
			0.25, 0.5, 0.75, 1, 1, (1 + eighth) / 2, (1 + quarter) / 2, (1 + math.Cos(3*math.Pi/8)) / 2, 0.5,
			(1 - math.Cos(3*math.Pi/8)) / 2, (1 - quarter) / 2, (1 - eighth) / 2, 0, 0,
		},
		"linear":   {0.25, 0.5, 0.75, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0, 0},
		"constant": {0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	} {
		t.Run("schedule="+schedule, func(t *testing.T) {
			for _, c := range []optim.Config{{WarmupRatio: 0.3}, {WarmupSteps: 4}, {WarmupSteps: 4, WarmupRatio: 0.9}} {
				c.Schedule = schedule
				s := c.LRSchedule(12)
				for i, f := range want {
					if got := s.Factor(i + 1); !(math.Abs(got-f) <= 1e-15) {
						t.Errorf("Factor(%d) = %v; want %v", i+1, got, f)
					}
				}
			}
		})
	}
}
