package evaluate

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/lor2c/lor2c/internal/benchmark"
)

// shared returns a path in the folder of models and data that are too large for this repository.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	root := os.Getenv("LOR2C_SHARED")
	if root == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with models, data and design/decoder")
	}
	full := filepath.Join(append([]string{root}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("%v; models/README.md says how to make it", err)
	}
	return full
}

// TestSharedMMLU: log-likelihoods, answers and the number of computed tokens are those of transformers for 50 questions
// of MMLU, in both protocols.
func TestSharedMMLU(t *testing.T) {
	raw, err := os.ReadFile(shared(t, "design", "decoder", "smollm2_mmlu.json"))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Row       int
		LL        []float64
		Pred      string
		Generated string
		Correct   bool
	}
	var golden struct {
		Subjects map[string]map[string]struct {
			Correct, N int
			RunTokens  int `json:"run_tokens"`
			Rows       []row
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	m, open := opened(t, shared(t, "models", "smollm2"))
	data := shared(t, "data", "eval")
	for _, p := range benchmark.Protocols {
		t.Run("protocol="+string(p), func(t *testing.T) {
			want := golden.Subjects["abstract_algebra"][string(p)]
			set, err := benchmark.Load("mmlu", data, benchmark.Options{Protocol: p, Shots: -1})
			if err != nil {
				t.Fatal(err)
			}
			set.Items = set.Items[:want.N]
			e, err := Benchmark(set, m, settings(t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			g := open()
			r := finish(t, e, g)
			if math.Round(float64(r.Value)*float64(want.N)) != float64(want.Correct) {
				t.Errorf("the score is %v; want %d of %d", r.Value, want.Correct, want.N)
			}
			if n := g.Passed(); p == benchmark.LMEval && n > want.RunTokens {
				t.Errorf("%d tokens were computed; want at most the %d of sharing the examples alone", n, want.RunTokens)
			}
			for i, w := range want.Rows {
				l := e.scored[i]
				if (l.scores["acc"] == 1) != w.Correct {
					t.Errorf("row %d: score %v; want %t", w.Row, l.scores["acc"], w.Correct)
				}
				if p == benchmark.InstructEval {
					if got := l.Filtered[0]; got != w.Generated {
						t.Errorf("row %d: the answer is %q; want %q", w.Row, got, w.Generated)
					}
					continue
				}
				for j, x := range w.LL {
					if got := l.Filtered[j].([]float64)[0]; !(math.Abs(got-x) < 1e-3) {
						t.Errorf("row %d: log-likelihood %d is %v; want %v", w.Row, j, got, x)
					}
				}
			}
		})
	}
}

// TestSharedPerplexity: the mean loss of a paragraph is that of transformers.
func TestSharedPerplexity(t *testing.T) {
	raw, err := os.ReadFile(shared(t, "design", "decoder", "smollm2_nll.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Paragraph string
		IDs       []int32
		NLL       float64 `json:"nll_bf16_weights_f32_compute"`
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "paragraph.txt")
	if err := os.WriteFile(path, []byte(golden.Paragraph), 0o600); err != nil {
		t.Fatal(err)
	}
	m, open := opened(t, shared(t, "models", "smollm2"))
	e, err := Perplexity(context.Background(), path, m, settings(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	r := finish(t, e, open())
	if got := math.Log(float64(r.Value)); !(math.Abs(got-golden.NLL) < 1e-3) || r.N != len(golden.IDs)-1 {
		t.Errorf("the mean loss of %d tokens is %v; want %v of %d", r.N, got, golden.NLL, len(golden.IDs)-1)
	}
}
