package config

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestQuantizeFrozen: quantised weights and a method that changes weights are a fault that names both.
func TestQuantizeFrozen(t *testing.T) {
	for method, want := range map[string]bool{
		"lora": false, "lor2c": false, "bitfit": false, "full": true, "pissa": true,
	} {
		c := Default()
		c.Method = adapter.NewConfig(method)
		c.Train.Quantize = QuantizeNF4
		found := false
		for _, err := range c.Validate() {
			found = found || strings.HasPrefix(err.Error(), "train.quantize: is nf4, and method "+method+" ")
		}
		if found != want {
			t.Errorf("method %s: the fault is reported: %t; want %t", method, found, want)
		}
	}
}
