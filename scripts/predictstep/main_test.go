package main

import (
	"path/filepath"
	"reflect"
	"testing"
)

// TestPredictions compares the last version in the file with the committed lists of launches.
func TestPredictions(t *testing.T) {
	f, err := read(filepath.Join("../..", results, "predicted-step.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Versions) == 0 {
		t.Fatal("predicted-step.json has no version")
	}
	want, err := predictAll(filepath.Join("../..", results))
	if err != nil {
		t.Fatal(err)
	}
	last := f.Versions[len(f.Versions)-1]
	if !reflect.DeepEqual(last.Steps, want) {
		t.Errorf("version %q is not what the lists of launches predict; go run ./scripts/predictstep writes it", last.Version)
	}
}

// TestSizes: the terms of a product follow from its place in the step, and a sum of three products has those of all.
func TestSizes(t *testing.T) {
	w := workload{tokens: 8192, examples: 64, width: 768, inner: 3072}
	product := func(kernel string, tiles, products int) launch { return launch{kernel, [3]int{tiles, 1, products}} }
	list := []launch{
		product("matmul_nt_bf16", 384, 3), {"attention_forward_d64_bf16", [3]int{12, 2, 64}},
		product("matmul_nt_bf16", 384, 1), {"layernorm_forward_bf16", [3]int{1024, 1, 1}},
		product("matmul_nt_bf16", 1536, 1), product("matmul_nt_bf16", 384, 1),
		{"layernorm_backward_bf16", [3]int{1024, 1, 1}}, product("matmul_nn_bf16", 1536, 1),
		product("matmul_nn_bf16", 384, 1),
		{"attention_backward_q_d64_bf16", [3]int{12, 2, 64}}, product("matmul_nn_bf16", 384, 1),
		{"lowrank_gradient_r8_bf16", [3]int{128, 3, 1}},
	}
	for i, want := range map[int][3]int{
		0: {8192, 768, 768}, 2: {8192, 768, 768}, 4: {8192, 3072, 768}, 5: {8192, 768, 3072},
		7: {8192, 3072, 768}, 8: {8192, 768, 3072}, 10: {8192, 768, 3 * 768},
	} {
		if r, c, k := w.sizes(list, i); [3]int{r, c, k} != want {
			t.Errorf("launch %d, %s, has sizes %d, %d, %d; want %v", i, list[i].kernel, r, c, k, want)
		}
	}
	apart := append(append([]launch(nil), list[:11]...), list[10], list[10])
	if _, _, k := w.sizes(apart, 11); k != 768 {
		t.Errorf("one of three launches has %d terms; want 768", k)
	}
}
