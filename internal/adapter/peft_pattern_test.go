package adapter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestOpenPEFTPatterns: where PEFT gives linear layers ranks and scales of their own, or leaves some out, the adapter
// has the values of the file, padded with zeros, and the other scale in B.
func TestOpenPEFTPatterns(t *testing.T) {
	const query0, value1 = "layer.0.attention.self.query", "layer.1.attention.self.value"
	// The adapter of PEFT has rank 4 and lora_alpha 16.
	for name, c := range map[string]struct {
		change map[string]any
		ranks  map[string]int     // of modules whose tensors are cut to a smaller rank; 0 removes them
		factor map[string]float32 // of the B of modules
		rank   int
		alpha  float64
	}{
		"rank": {map[string]any{"rank_pattern": map[string]any{query0: 2}}, map[string]int{query0: 2},
			map[string]float32{query0: 2}, 4, 16},
		"all ranks": {map[string]any{"rank_pattern": map[string]any{"query": 2, "value": 2}},
			map[string]int{"query": 2, "value": 2}, map[string]float32{"query": 2, "value": 2}, 4, 16},
		"alpha": {map[string]any{"alpha_pattern": map[string]any{`.*\.1\..*value`: 4}}, nil,
			map[string]float32{value1: 0.25}, 4, 16},
		"both": {map[string]any{"rank_pattern": map[string]any{query0: 1}, "alpha_pattern": map[string]any{query0: 8}},
			map[string]int{query0: 1}, map[string]float32{query0: 2}, 4, 16},
		"root of the rank": {map[string]any{"use_rslora": true, "rank_pattern": map[string]any{query0: 1}},
			map[string]int{query0: 1}, map[string]float32{query0: 2}, 4, 32},
		"layers": {map[string]any{"layers_to_transform": []int{1, 2}}, map[string]int{"layer.0.": 0}, nil, 4, 16},
		"regex":  {map[string]any{"target_modules": `.*query|.*layer\.[02].*value`}, map[string]int{value1: 0}, nil, 4, 16},
		"exclude": {map[string]any{"exclude_modules": []string{"1.attention.self.value"}}, map[string]int{value1: 0}, nil,
			4, 16},
	} {
		t.Run("config="+name, func(t *testing.T) {
			of := func(tensor string) (rank int, factor float32) {
				rank, factor = 4, 1
				for module, r := range c.ranks {
					if strings.Contains(tensor, module) {
						rank = r
					}
				}
				for module, f := range c.factor {
					if strings.Contains(tensor, module) && strings.Contains(tensor, "lora_B") {
						factor = f
					}
				}
				return rank, factor
			}
			dir, want := peftDir(t, c.change), map[string][]float32{}
			present := map[string]bool{}
			rewrite(t, dir, func(x checkpoint.Tensor) []checkpoint.Tensor {
				if !strings.Contains(x.Name, "lora_") {
					return []checkpoint.Tensor{x}
				}
				present[x.Name] = true
				rank, factor := of(x.Name)
				all, cut := slices.Clone(x.Data.([]float32)), []float32{}
				for i := range all {
					k := i / x.Shape[1]
					if strings.Contains(x.Name, "lora_B") {
						k = i % x.Shape[1]
					}
					if k < rank {
						cut = append(cut, all[i])
						all[i] *= factor
						continue
					}
					all[i] = 0
				}
				want[x.Name] = all
				if rank == 0 {
					return nil
				}
				shape := []int{rank, x.Shape[1]}
				if strings.Contains(x.Name, "lora_B") {
					shape = []int{x.Shape[0], rank}
				}
				return []checkpoint.Tensor{{Name: x.Name, Shape: shape, Data: cut}}
			})
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if r, a := s.Method.Rank(), s.Method.Value("alpha"); r != c.rank || a != c.alpha && c.change["use_rslora"] == nil {
				t.Errorf("rank %d, alpha %v; want %d, %v", r, a, c.rank, c.alpha)
			}
			dev := cpu.Open[float32](1)
			n := goldenNetwork(t, dev, goldenDir+"/roberta", s.Method, 1)
			restore(t, dir, n)
			for _, p := range n.Method.Params() {
				if got := download(dev, p.Value); !sameBits(got, want[p.Name]) || !present[p.Name] {
					t.Errorf("%s is %v...; want %v...", p.Name, got[:4], want[p.Name][:4])
				}
			}
		})
	}
}

// TestOpenPEFTRank: a tensor of another rank than the configuration says is an error that names both.
func TestOpenPEFTRank(t *testing.T) {
	dir := peftDir(t, map[string]any{"rank_pattern": map[string]any{"query": 2}})
	_, err := adapter.Open(dir)
	if got := fmt.Sprint(err); !strings.Contains(got,
		"query.lora_A.weight has rank 4, and adapter_config.json gives it 2: adapter and model do not match") {
		t.Errorf("error %s", got)
	}
}
