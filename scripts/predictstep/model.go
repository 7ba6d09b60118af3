package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const what = "predicted time of one LoR2C step (rank 8) in bfloat16 on one NVIDIA H200; nothing here has been measured"

var formula = []string{
	"products: tiles in waves on 132 multiprocessors, as in predicted-matmul.json, with mma.sync at 62 % or 53 % of " +
		"790 TFLOP/s; a wave whose epilogue has a GELU takes 16 x 300 cycles more for tiles of 128, 4 x 300 for tiles of " +
		"64, and one that has its gradient 420 instead of 300; never less than the bytes at 4.3 TB/s",
	"attention: predicted-attention.json at these lengths",
	"other launches: the bytes of rows of activations that they read and write, at 0.85 of 4.3 TB/s; the norm with a " +
		"low-rank path, LowRankDown and the gradient of a factor not less than 24.8, 8.1 and 10.6 us for 8,192 x 768",
	"every launch takes 2 us more, the time until a kernel that needs its result begins",
	"floor: the bytes at 4.3 TB/s, or the products at 790 TFLOP/s, without launches",
}

const (
	multiprocessors = 132
	bytesPerUs      = 4.3e6
	flopsPerUs      = 790e6
	cyclesPerUs     = 1755
	launchUs        = 2
	element         = 2 // bytes
)

// workload is a step whose launches are known, with the sizes that they do not show.
type workload struct {
	list                string
	tokens, examples    int
	width, inner, vocab int
	gelu                bool
	// attention has the predicted times, in us, of the forward kernel, the row sums, and the two backward kernels.
	attention [4]float64
}

var workloads = []workload{
	{"full", 8192, 64, 768, 3072, 0, true, [4]float64{27.6, 7, 39.9, 29.6}},
	{"mrpc", 3392, 64, 768, 3072, 0, true, [4]float64{9.3, 3, 14.2, 0}},
	{"cola", 182, 16, 768, 3072, 0, true, [4]float64{1, 0.3, 1, 0}},
	{"llama", 16384, 32, 4096, 11008, 32000, false, [4]float64{368.9, 74, 511.1, 401.3}},
}

// launch is a line of a list.
type launch struct {
	kernel string
	grid   [3]int
}

func (l launch) is(prefix string) bool { return strings.HasPrefix(l.kernel, prefix) }

// product reports whether the launch is a product of tiles.
func (l launch) product() bool {
	return l.is("matmul_n") || l.is("matmul_t") || l.is("matmul_small_")
}

// cost is the time of a launch in us.
type cost struct{ floor, time float64 }

// predict returns the prediction for a list of launches.
func (w workload) predict(list []byte) (prediction, error) {
	lines, err := csv.NewReader(bytes.NewReader(list)).ReadAll()
	if err != nil {
		return prediction{}, err
	}
	var launches []launch
	for _, line := range lines[1:] {
		l := launch{kernel: line[0]}
		for i := range l.grid {
			if l.grid[i], err = strconv.Atoi(line[1+i]); err != nil {
				return prediction{}, fmt.Errorf("predictstep: launches-%s.csv: the grid of %s has %q; want a whole number",
					w.list, line[0], line[1+i])
			}
		}
		launches = append(launches, l)
	}
	p := prediction{Workload: w.list, Launches: len(launches), SlowGroupsMs: map[string]float64{}}
	for i, l := range launches {
		var group string
		for j, rate := range []float64{0.62, 0.53} {
			var c cost
			if l.product() {
				group, c = "products", w.productCost(launches, i, rate)
			} else {
				group, c = w.otherCost(l)
			}
			c.time += launchUs
			if j == 0 {
				p.FloorMs += c.floor / 1e3
				p.FastMs += c.time / 1e3
				continue
			}
			p.SlowMs += c.time / 1e3
			p.SlowGroupsMs[group] += c.time / 1e3
		}
	}
	for _, v := range []*float64{&p.FloorMs, &p.FastMs, &p.SlowMs} {
		*v = round(*v)
	}
	for group, v := range p.SlowGroupsMs {
		p.SlowGroupsMs[group] = round(v)
	}
	return p, nil
}

func round(ms float64) float64 { return math.Round(ms*100) / 100 }

func ceil(a, b int) int { return (a + b - 1) / b }

// productCost returns the cost of launch i, a product, by the model of internal/gpu/matmul_plan.go.
func (w workload) productCost(all []launch, i int, rate float64) cost {
	l := all[i]
	rows, cols, terms := w.sizes(all, i)
	large := !l.is("matmul_small_")
	tile, resident, fill := 64, 4, 1.5
	step := 2 * 128 * 128 * 32 / (rate * flopsPerUs / multiprocessors)
	alone := 1.4 * step
	if large {
		tile, resident, fill = 128, 2, 2
	} else {
		step /= 4 * 0.75
		alone = 1.7 * step
	}
	steps := float64(ceil(ceil(terms, 32), l.grid[1]))
	if w.gelu && cols == w.inner && rows == w.tokens {
		cycles := 300.0
		if strings.Contains(l.kernel, "_nn_") {
			cycles = 420
		}
		fill += cycles * float64(tile/64*tile/64*4) / cyclesPerUs
	}
	time := 0.0
	for each := ceil(l.grid[0]*l.grid[1]*l.grid[2], multiprocessors); each > 0; each -= resident {
		time += steps*max(float64(min(each, resident))*step, alone) + fill
	}
	products := float64(l.grid[2])
	flops := 2 * float64(rows) * float64(cols) * float64(terms) * products
	moved := element * (float64(rows)*float64(terms) + (float64(cols)*float64(terms)+float64(rows)*float64(cols))*products)
	return cost{max(flops/flopsPerUs, moved/bytesPerUs), max(time, moved/bytesPerUs)}
}

// sizes returns the size of a product: its rows and columns from the grid, and its terms from its place in the step.
func (w workload) sizes(all []launch, i int) (rows, cols, terms int) {
	l := all[i]
	rows, cols = w.result(l)
	if cols == w.vocab {
		return rows, cols, w.width
	}
	if rows == chunk {
		return rows, cols, w.vocab
	}
	terms = w.width
	before, run := w.before(all, i)
	if cols == w.width && (before == "swiglu_forward" || before == "swiglu_backward" || before == "inner") {
		terms = w.inner
	}
	// The gradients of layers that read one input are a sum of products: a run of launches, or one.
	if rows == w.tokens && run == 1 && strings.Contains(l.kernel, "_nn_") {
		switch before {
		case "attention_backward", "rope":
			terms *= 3
		case "swiglu_backward", "scatter":
			terms *= 2
		}
	}
	return rows, cols, terms
}

// chunk is the number of rows of which the head of a decoder computes the logits at a time.
const chunk = 272

// result returns the rows and columns of a product. Grids are computed from rows that are rounded up to a size class.
func (w workload) result(l launch) (rows, cols int) {
	tile := 128
	if l.is("matmul_small_") {
		tile = 64
	}
	for _, r := range []int{w.tokens, w.examples} {
		for _, c := range []int{w.inner, w.width} {
			if tiles := ceil(r, tile) * ceil(c, tile); l.grid[0] >= tiles && l.grid[0] <= tiles+tiles/10 {
				return r, c
			}
		}
	}
	switch {
	case w.vocab == 0: // the head, and the last layer, which has a row for each example
		return w.examples, w.width
	case strings.Contains(l.kernel, "_nt_"):
		return chunk, w.vocab
	}
	return chunk, w.width
}

// before returns what comes before the run of products of one grid that launch i belongs to, "inner" if that is a
// product with the inner width, and the number of launches of the run.
func (w workload) before(all []launch, i int) (kind string, run int) {
	first := i
	for first > 0 && all[first-1] == all[i] {
		first--
	}
	last := i
	for last+1 < len(all) && all[last+1] == all[i] {
		last++
	}
	run = last - first + 1
	for j := first - 1; j >= 0; j-- {
		l := all[j]
		if l.is("matmul_reduce") {
			continue
		}
		for _, kind := range []string{"swiglu_forward", "swiglu_backward", "attention_backward", "rope", "scatter"} {
			if l.is(kind) {
				return kind, run
			}
		}
		if _, cols := w.result(l); l.product() && cols == w.inner {
			return "inner", run
		}
		break
	}
	return "", run
}

// traffic has the tensors [tokens, width] that a launch over all rows reads and writes, and the group of the launch.
var traffic = []struct {
	prefix, group string
	tensors       float64
	issueUs       float64 // for 8,192 x 768
}{
	{"layernorm_lowrank", "norms", 4, 24.8}, {"layernorm_forward", "norms", 4, 0}, {"layernorm_backward", "norms", 4, 0},
	{"rmsnorm_forward", "norms", 2, 0}, {"rmsnorm_backward", "norms", 4, 0},
	{"lowrank_down", "low rank", 1, 8.1}, {"lowrank_gradient", "low rank", 2, 10.6}, {"lowrank_up", "low rank", 2, 0},
	{"lowrank_add", "low rank", 0.25, 0},
	{"embed", "rows", 2, 0}, {"dropout", "rows", 2, 0}, {"rope", "rows", 2, 0}, {"axpy", "rows", 3, 0},
	{"copy_bf16", "rows", 2, 0}, {"fill_bf16", "rows", 1, 0},
}

// otherCost returns the cost of a launch that is no product of tiles, and its group.
func (w workload) otherCost(l launch) (group string, c cost) {
	for i, kernel := range []string{
		"attention_forward", "attention_delta", "attention_backward_kv", "attention_backward_q",
	} {
		if l.is(kernel) {
			return "attention", cost{w.attention[i] / 2, w.attention[i]}
		}
	}
	moved := element * float64(w.tokens) * float64(w.width) / bytesPerUs // us for one tensor
	scale := float64(w.tokens) * float64(w.width) / (8192 * 768)
	few := l.grid[0] < 200 && w.tokens > 1000 && !l.is("lowrank_gradient") && !l.is("lowrank_add") // rows of examples
	if l.is("lowrank_gradient") && l.grid[0] == 1 && w.tokens > 1000 {
		few = true
	}
	for _, t := range traffic {
		if l.is(t.prefix) && !few {
			floor := t.tensors * moved
			return t.group, cost{floor, max(floor/0.85, t.issueUs*scale)}
		}
	}
	inner := moved * float64(w.inner) / float64(w.width)
	switch {
	case l.is("swiglu_forward"):
		return "rows", cost{3 * inner, 3 * inner / 0.85}
	case l.is("swiglu_backward"):
		return "rows", cost{5 * inner, 5 * inner / 0.85}
	case l.is("cross_entropy") && w.vocab > 0:
		floor := 3 * element * float64(l.grid[0]) * float64(w.vocab) / bytesPerUs
		return "head", cost{floor, floor / 0.85}
	}
	return "small launches", cost{0.3, 0.3}
}
