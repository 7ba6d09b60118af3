package generate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSampling compares the probabilities with which tokens are drawn with those of transformers, for all settings at
// once and for logits of which some are equal. Of tokens with equal logits transformers may keep any.
func TestSampling(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/golden_decoder/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Sampling
		Logits        []float32
		Text          []int32
		Probabilities []float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	var s sampler
	for i, c := range cases {
		s.Sampling = c.Sampling
		logits := slices.Clone(c.Logits)
		s.penalise(logits, c.Text)
		penalised := slices.Clone(logits)
		s.warp(logits)
		total, probabilities := s.total(), make([]float64, len(logits))
		for _, c := range s.kept {
			probabilities[c.id] = c.prob
		}
		got, want := map[float32][]float64{}, map[float32][]float64{}
		for id, x := range penalised {
			got[x], want[x] = append(got[x], probabilities[id]/total), append(want[x], c.Probabilities[id])
		}
		for x := range want {
			slices.Sort(got[x])
			slices.Sort(want[x])
			for k, p := range want[x] {
				if !(math.Abs(got[x][k]-p) < 1e-5) {
					t.Errorf("case %d, %+v: tokens with logit %v have probabilities %v; want %v", i, c.Sampling, x, got[x], want[x])
					break
				}
			}
		}
	}
	if len(cases) < 400 {
		t.Errorf("there are %d cases", len(cases))
	}
}

// TestDraw: a token is drawn as often as its probability requires, and the first and the last number choose the first
// and the last token that is kept.
func TestDraw(t *testing.T) {
	s := sampler{Sampling: Greedy()}
	s.DoSample, s.TopK = true, 3
	logits := []float32{-9, 2, 1, float32(math.Log(math.E * 2)), -3} // 3, 1 and 2 are kept
	counts := make([]int, len(logits))
	const n = 20000
	for i := range n {
		counts[s.next(slices.Clone(logits), nil, draw(7, 0, i))]++
	}
	total := math.Exp(2) + math.E + 2*math.E
	for id, want := range []float64{0, math.Exp(2) / total, math.E / total, 2 * math.E / total, 0} {
		if got := float64(counts[id]) / n; !(math.Abs(got-want) < 0.015) {
			t.Errorf("token %d is drawn with %.4f; want %.4f", id, got, want)
		}
	}
	first, last := s.next(slices.Clone(logits), nil, 0), s.next(slices.Clone(logits), nil, math.Nextafter(1, 0))
	if first != 1 || last != 3 {
		t.Errorf("the ends of the interval choose tokens %d and %d; want 1 and 3", first, last)
	}
	s.DoSample = false
	if got := s.next([]float32{1, 5, 5, 2}, nil, 0.9); got != 1 {
		t.Errorf("without sampling token %d is chosen; want 1, the first of the largest", got)
	}
	s.RepetitionPenalty = 2
	if got := s.next([]float32{-1, 5, 3, -1}, []int32{1, 1}, 0); got != 2 {
		t.Errorf("with a repetition penalty token %d is chosen; want 2", got)
	}
}

// sorted returns the tokens that warp keeps, in the order of their ids, by ordering the whole vocabulary.
func sorted(s Sampling, logits []float32) (kept []int32) {
	order := make([]int32, len(logits))
	for i := range order {
		order[i] = int32(len(order) - 1 - i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	if s.TopK > 0 && s.TopK < len(order) {
		n := s.TopK
		for n < len(order) && logits[order[n]] == logits[order[s.TopK-1]] {
			n++
		}
		order = order[:n]
	}
	prob := func(id int32) float64 { return math.Exp(float64(logits[id]) - float64(logits[order[0]])) }
	total, sum := 0.0, 0.0
	for _, id := range order {
		total += prob(id)
	}
	for n := len(order) - 1; n > 0 && s.TopP < 1; n-- {
		if sum += prob(order[n]) / total; float32(sum) > float32(1-s.TopP) {
			break
		}
		order = order[:n]
	}
	for _, id := range order {
		if prob(id) >= s.MinP {
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	return kept
}

// TestPartialOrder: the tokens that are kept without ordering the vocabulary are those that ordering the whole
// vocabulary keeps, also where logits are equal.
func TestPartialOrder(t *testing.T) {
	draw := rand.New(rand.NewPCG(4, 2))
	var s sampler
	for i := range 2000 {
		logits := make([]float32, 1+draw.IntN(300))
		step := []float32{0.5, 0.001}[i%2]
		for j := range logits {
			logits[j] = float32(draw.IntN(40)) * step * 4
		}
		s.Sampling = Sampling{
			DoSample: true, Temperature: 1, TopK: draw.IntN(60) * draw.IntN(2), TopP: 1 - draw.Float64()*float64(draw.IntN(2)),
			MinP: draw.Float64() * 0.5 * float64(draw.IntN(2)),
		}
		s.warp(slices.Clone(logits))
		var got []int32
		for _, c := range s.kept {
			got = append(got, c.id)
		}
		if want := sorted(s.Sampling, logits); !slices.Equal(got, want) {
			t.Fatalf("case %d, %+v of %d tokens: %v are kept; want %v", i, s.Sampling, len(logits), got, want)
		}
	}
}

// BenchmarkSample draws a token from a vocabulary of the size of SmolLM2's, with the settings of its
// generation_config.json and with the nucleus alone.
func BenchmarkSample(b *testing.B) {
	draw := rand.New(rand.NewPCG(4, 2))
	logits, work := make([]float32, 49152), make([]float32, 49152)
	for i := range logits {
		logits[i] = float32(draw.NormFloat64() * 3)
	}
	for _, k := range []int{50, 0} {
		b.Run(fmt.Sprintf("top_k=%d", k), func(b *testing.B) {
			s := sampler{Sampling: Sampling{DoSample: true, Temperature: 0.6, TopK: k, TopP: 0.9, RepetitionPenalty: 1}}
			for b.Loop() {
				copy(work, logits)
				s.next(work, nil, 0.5)
			}
		})
	}
}

// TestSamplingFaults: settings out of range are named, all at once.
func TestSamplingFaults(t *testing.T) {
	bad := Sampling{Temperature: 0, TopK: -1, TopP: 1.5, MinP: 2, RepetitionPenalty: math.Inf(1)}
	var got []string
	for _, f := range bad.Validate() {
		got = append(got, f.Error())
	}
	want := "temperature is 0; want more than 0, or no sampling for the most probable token|top_k is -1; want at least " +
		"0, which keeps all tokens|top_p is 1.5; want more than 0 and at most 1|min_p is 2; want 0 to " +
		"1|repetition_penalty is +Inf; want more than 0"
	if strings.Join(got, "|") != want {
		t.Errorf("faults are %q; want %q", got, want)
	}
	if faults := Greedy().Validate(); faults != nil {
		t.Errorf("the defaults have faults %v", faults)
	}
}
