package config

import (
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/metric"
)

// TestMetricWords: help, completion and schema offer every metric.
func TestMetricWords(t *testing.T) {
	for _, k := range Keys() {
		if k.Name == "data.metric" && !slices.Equal(k.Values, append(metric.Names(), metric.Perplexity)) {
			t.Errorf("data.metric offers %q; there are %q and %s", k.Values, metric.Names(), metric.Perplexity)
		}
	}
}
