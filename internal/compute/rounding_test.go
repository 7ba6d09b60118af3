package compute

import "testing"

// TestRounding: equal cards and any number of workers round alike; another card, precision or BLAS does not.
func TestRounding(t *testing.T) {
	for name, want := range map[string]string{
		"cpu float32, 8 workers, gonum":          "cpu float32, gonum",
		"cpu float32, 16 workers, openblas":      "cpu float32, openblas",
		"cpu float32, 1 worker, gonum":           "cpu float32, gonum",
		"cuda:0 NVIDIA H100 80GB HBM3, bfloat16": "cuda NVIDIA H100 80GB HBM3, bfloat16",
		"cuda:12 NVIDIA A100, float32":           "cuda NVIDIA A100, float32",
	} {
		if got := Rounding(name); got != want {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
}
