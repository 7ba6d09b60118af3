package train

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestReservedArena: with the bytes of the plan, no step and no evaluation of a real run makes the arena grow or
// allocates persistent memory, and no step waits for the device.
func TestReservedArena(t *testing.T) {
	onlyLong(t, true)
	eachMethod(t, testReservedArena)
}

// testReservedArena is TestReservedArena for one run.
func testReservedArena(t *testing.T, c *config.Config) {
	t.Helper()
	s, train, dev := loaded(t, c)
	device := cpu.Open[float32](2)
	settings := adapter.Settings{Config: c.Method, Seed: c.Seed, Run: schedule.Run{
		Epochs: 4, Steps: 12, StepsPerEpoch: 3, Layers: s.Model.Layers, Rank: c.Method.Rank(),
	}}
	plan, err := s.plan(device, train, dev, settings)
	if err != nil {
		t.Fatal(err)
	}
	m, a, err := s.attach(device, settings)
	if err != nil {
		t.Fatal(err)
	}
	timetable := newTimetable(c, train.Len())
	st := NewStepper(device, m, a, c.Optim, c.Seed, s.objective(device, m, nil), timetable.reportSlots())
	st.Steps = settings.Run.Steps
	if got, want := device.Stats().PersistentBytes, plan.Weights+plan.Trained; got != want {
		t.Errorf("%d bytes are persistent; %d were planned", got, want)
	}
	device.Reserve(plan.Arena)
	reserved := device.Stats()
	for step := 1; step <= stepsPerEpoch(train.Len(), c.Train.BatchSize); step++ {
		before := device.Stats().Syncs
		if err := st.Step(step, train.micro(s.step(train.Len(), step), c.Train), 1); err != nil {
			t.Fatal(err)
		}
		if got := device.Stats().Syncs - before; got != 0 {
			t.Errorf("step %d waited for the device %d times", step, got)
		}
	}
	for at := 0; at < dev.Len(); at += c.Train.EvalBatchSize {
		if _, err := st.Results(dev.batch(sequence(dev.Len())[at:min(at+c.Train.EvalBatchSize, dev.Len())])); err != nil {
			t.Fatal(err)
		}
	}
	if err := device.Err(); err != nil {
		t.Fatal(err)
	}
	now := device.Stats()
	if now.Grown != 0 || now.ArenaBytes != reserved.ArenaBytes || now.PersistentBytes != reserved.PersistentBytes {
		t.Errorf("memory went from %+v to %+v", reserved, now)
	}
	if now.ArenaPeak > plan.Arena || now.ArenaPeak < plan.Arena/2 {
		t.Errorf("%d bytes were used of %d planned", now.ArenaPeak, plan.Arena)
	}
}

// counter is a device that counts the matrix products of a step.
type counter struct {
	compute.Device
	calls map[string]int
	flops int // multiplications and additions, without attention
}

func (c *counter) count(op string, products ...int) {
	c.calls[op]++
	for _, p := range products {
		c.flops += 2 * p
	}
}

func (c *counter) Gemm(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, accumulate bool) {
	inner := a.Shape.Cols()
	if ta {
		inner = a.Shape.Rows()
	}
	c.count("Gemm", dst.Shape.Len()*inner)
	c.Device.Gemm(dst, alpha, a, ta, b, tb, accumulate)
}

func (c *counter) Linear(dst, pre, x, w, bias tensor, act compute.Act) {
	c.count("Linear", dst.Shape.Len()*x.Shape.Cols())
	c.Device.Linear(dst, pre, x, w, bias, act)
}

func (c *counter) LowRankDown(u, x, a tensor, drop compute.Dropout) {
	c.count("LowRankDown", u.Shape.Len()*a.Shape.Cols())
	c.Device.LowRankDown(u, x, a, drop)
}

func (c *counter) LowRankDownGrad(dx, da, x, a, du tensor, drop compute.Dropout, accumulate bool) {
	for _, g := range []tensor{dx, da} {
		if g.Present() {
			c.flops += 2 * du.Shape.Len() * a.Shape.Cols()
		}
	}
	c.count("LowRankDownGrad")
	c.Device.LowRankDownGrad(dx, da, x, a, du, drop, accumulate)
}

func (c *counter) LowRankUp(dst, u, b tensor, scale float32) {
	c.count("LowRankUp", dst.Shape.Len()*b.Shape.Cols())
	c.Device.LowRankUp(dst, u, b, scale)
}

func (c *counter) LowRankUpGrad(du, db, u, b, dy tensor, scale float32) {
	for _, g := range []tensor{du, db} {
		if g.Present() {
			c.flops += 2 * dy.Shape.Len() * b.Shape.Cols()
		}
	}
	c.count("LowRankUpGrad")
	c.Device.LowRankUpGrad(du, db, u, b, dy, scale)
}

func (c *counter) SumRows(dst, x tensor) {
	c.count("SumRows")
	c.Device.SumRows(dst, x)
}

func (c *counter) AttentionGrad(o compute.AttentionGradArgs) {
	c.count("AttentionGrad")
	c.Device.AttentionGrad(o)
}

func (c *counter) LayerNormGrad(o compute.LayerNormGradArgs) {
	c.count("LayerNormGrad")
	c.Device.LayerNormGrad(o)
}

func (c *counter) EmbedGrad(dword, dposition, dkind, ids, pos, types, dy tensor) {
	c.count("EmbedGrad")
	c.Device.EmbedGrad(dword, dposition, dkind, ids, pos, types, dy)
}

type tensor = compute.Tensor

// work returns the number of multiply-adds and of calls of a step in closed
// form, for a batch of n tokens in b sequences through layers of width c and
// inner width f, with rank r and o outputs. In the last layer only the rows of
// first tokens are computed, except for keys and values.
func work(kind, method string, layers, n, b, c, f, r, o int) (macs int, calls map[string]int) {
	inner := n * (4*c*c + 2*c*f)       // the linear layers of a layer
	last := n*2*c*c + b*(2*c*c+2*c*f)  // those of the last layer
	dense, out := b*c*c, b*c*o         // the head, or BERT's pooler and head
	above := (layers-2)*inner + last   // all layers except the first
	macs = inner + above + dense + out // forward pass
	calls = map[string]int{"Linear": 6*layers + 2}
	lowRank := func(n int) {
		for _, op := range []string{"LowRankDown", "LowRankUp", "LowRankDownGrad", "LowRankUpGrad"} {
			calls[op] = n
		}
	}
	headGrad, headCalls := 2*dense+2*out, 4
	biases := 2
	if kind == "bert" { // its pooler is frozen
		headGrad, headCalls, biases = dense+2*out, 3, 1
	}
	switch method {
	case "head":
		// The gradient ends at the first layer of the head.
		if macs += 2*out + dense; kind == "bert" {
			macs -= dense + out
		}
		calls["Gemm"] = map[string]int{"roberta": 3, "bert": 1}[kind]
	case "lor2c":
		// Weights have no gradients, and neither does anything below the output of
		// the first layer.
		macs += headGrad + above
		macs += (layers-1)*n*2*c*r + b*2*c*r           // forward pass
		macs += n*3*c*r + (layers-2)*n*4*c*r + b*4*c*r // the first layer needs no dx
		calls["Gemm"] = headCalls + 6*(layers-1)
		lowRank(layers)
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers-1, 2*(layers-1)
	case "ia3", "vera":
		// The first layer's gradient goes down to the vectors of its query and value.
		macs += headGrad + above + n*(c*c+2*c*f)
		calls["Gemm"] = headCalls + 6*(layers-1) + 3
		if method == "vera" { // whose matrices have no gradient
			macs += (layers-1)*n*4*c*r + (n+b)*2*c*r
			macs += n*2*c*r + (layers-2)*n*4*c*r + (n+b)*2*c*r
			lowRank(2 * layers)
			calls["LowRankDownGrad"] -= 2
		}
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers
	case "adalora", "aslora", "lora", "dora", "dylora", "melora", "olora", "pissa", "sharelora":
		// The gradient reaches query and value of the first layer, whose input needs
		// none.
		macs += headGrad + above + n*(c*c+2*c*f)
		macs += (layers-1)*n*4*c*r + (n+b)*2*c*r
		macs += n*6*c*r + (layers-2)*n*8*c*r + (n+b)*4*c*r
		calls["Gemm"] = headCalls + 6*(layers-1) + 3
		lowRank(2 * layers)
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers
		if method == "adalora" { // the penalty
			macs += 2 * layers * 4 * r * r * c
			calls["Gemm"] += 2 * layers * 4
		}
	case "reslora": // the paths of a layer and of up to four before it
		macs += headGrad + above + n*(c*c+2*c*f)
		paths := 0
		for l := range layers {
			k, rows := min(l, 4)+1, 2*n
			if l == layers-1 {
				rows = n + b
			}
			paths += k
			macs += k * rows * 6 * c * r
		}
		macs -= 2 * n * c * r // the first layer needs no dx
		calls["Gemm"] = headCalls + 6*(layers-1) + 3
		lowRank(2 * paths)
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers
	case "hydralora", "loramoe":
		experts, a := 4, r
		if method == "loramoe" {
			experts, a = 6, 6*r
		}
		macs += headGrad + above + n*(c*c+2*c*f)
		rows := (layers-1)*2*n + n + b
		macs += rows * 3 * c * (experts + a + experts*r) // forward pass, gradient of the factor, gradient of its input
		macs -= 2 * n * c * (experts + a)                // the first layer needs no dx
		calls["Gemm"] = headCalls + 6*(layers-1) + 3
		lowRank(2 * layers)
		calls["LowRankDown"], calls["LowRankDownGrad"] = 4*layers, 4*layers
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers
	case "prefix":
		macs += headGrad + above + n*(c*c+2*c*f)
		calls["Gemm"] = headCalls + 6*(layers-1) + 3
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers
	case "adapter", "adamix":
		width, passes, norms := 48, 1, 3 // the norm behind the feed-forward layer is used twice
		if method == "adamix" {
			width, passes, norms = 16, 2, 2
		}
		macs += headGrad + above + ((layers-1)*n+b)*6*c*width - n*c*width // the first layer needs no dx
		macs *= passes
		calls["Linear"] += 2 * layers
		calls["Linear"] *= passes
		calls["Gemm"] = passes * (headCalls + 6*(layers-1) + 4*layers - 1)
		biases = passes * (biases + 2*layers)
		calls["AttentionGrad"], calls["LayerNormGrad"] = passes*(layers-1), passes*(1+norms*(layers-1))
	case "bitfit":
		// The gradient reaches the bias of the embeddings' norm. Weights have no
		// gradients.
		macs += headGrad + inner + above
		calls["Gemm"] = headCalls + 6*layers
		biases = calls["Linear"]
		calls["AttentionGrad"], calls["LayerNormGrad"] = layers, 2*layers+1
	case "full":
		// Every weight and every input has a gradient, which costs twice the forward
		// pass.
		macs *= 3
		calls["Gemm"] = 2 * calls["Linear"]
		biases = calls["Linear"]
		calls["AttentionGrad"], calls["LayerNormGrad"], calls["EmbedGrad"] = layers, 2*layers+1, 1
	}
	calls["SumRows"] = biases
	return macs, calls
}

// TestWork counts the operations that a step requests from the device. With a
// frozen base, only those are requested that the gradient of the adapter needs.
func TestWork(t *testing.T) {
	for _, kind := range []string{"roberta", "bert"} {
		for _, method := range adapter.Names() {
			for _, lengths := range [][]int{{3, 7, 2}, {12}, {5, 5, 5, 5, 9}} {
				t.Run(fmt.Sprintf("type=%s/method=%s/lengths=%v", kind, method, lengths), func(t *testing.T) {
					const outputs = 2
					dev := &counter{Device: cpu.Open[float32](1)}
					m, err := model.Load(dev, filepath.Join(goldenDir, kind), storedHead(outputs), 1, nil)
					if err != nil {
						t.Fatal(err)
					}
					p := 0.1
					m.HiddenDropout, m.AttentionDropout, m.ClassifierDropout = 0.1, 0.1, nil
					config := adapter.Configure(method,
						adapter.Values{"rank": 4, "init_rank": 4, "alpha": 8, "dropout": p, "target_modules": []string{"query", "value"}})
					a, err := adapter.Attach(dev, m, adapter.Settings{Config: config, Seed: 1})
					if err != nil {
						t.Fatal(err)
					}
					s := NewStepper(dev, m, a, optim.Default(), 1, Classification(dev, 2, nil, 0), 1)
					b := model.Batch{Cu: []int32{0}, Labels: make([]float32, len(lengths))}
					for _, n := range lengths {
						b.IDs, b.Types = append(b.IDs, make([]int32, n)...), append(b.Types, make([]int32, n)...)
						b.Cu = append(b.Cu, int32(len(b.IDs)))
					}
					dev.calls = map[string]int{}
					if err := s.Step(1, []model.Batch{b}, 1); err != nil {
						t.Fatal(err)
					}
					macs, calls := work(kind, method, m.Layers, len(b.IDs), b.Len(), m.Width, m.FF, max(config.Rank(), 4), outputs)
					if dev.flops != 2*macs {
						t.Errorf("%d floating-point operations; want %d", dev.flops, 2*macs)
					}
					for _, op := range []string{
						"Linear", "Gemm", "LowRankDown", "LowRankUp", "LowRankDownGrad", "LowRankUpGrad", "SumRows",
						"AttentionGrad", "LayerNormGrad", "EmbedGrad",
					} {
						if dev.calls[op] != calls[op] {
							t.Errorf("%d calls of %s; want %d", dev.calls[op], op, calls[op])
						}
					}
				})
			}
		}
	}
}

// TestWorkAfterEvents counts the layers through which the gradient passes after
// modules were merged or replaced: none below the output of the lowest module,
// and all of the lowest layer that has LoRA.
func TestWorkAfterEvents(t *testing.T) {
	merge := func(first, last, keep int) func(*adapter.LoR2C) {
		return func(m *adapter.LoR2C) { m.Merge(first, last, keep) }
	}
	inject := func(layer int) func(*adapter.LoR2C) { return func(m *adapter.LoR2C) { m.Inject(layer) } }
	for _, c := range []struct {
		name    string
		events  []func(*adapter.LoR2C)
		layers  int // number of layers, of three, whose attention has a gradient
		lowRank int // number of modules and pairs
	}{
		{"none", nil, 2, 3},
		{"merge-0-1", []func(*adapter.LoR2C){merge(0, 1, 1)}, 1, 2},
		{"merge-1-2", []func(*adapter.LoR2C){merge(1, 2, 1)}, 2, 2},
		{"merge-0-1-2", []func(*adapter.LoR2C){merge(0, 1, 0), merge(0, 2, 2)}, 0, 1},
		{"inject-0", []func(*adapter.LoR2C){inject(0)}, 3, 4},
		{"inject-2", []func(*adapter.LoR2C){inject(2)}, 2, 4},
		{"merge-0-1-inject-2", []func(*adapter.LoR2C){merge(0, 1, 0), inject(2)}, 1, 3},
		{"merge-1-2-inject-0", []func(*adapter.LoR2C){merge(1, 2, 2), inject(0)}, 3, 3},
	} {
		t.Run("events="+c.name, func(t *testing.T) {
			dev := &counter{Device: cpu.Open[float32](1)}
			m, err := model.Load(dev, filepath.Join(goldenDir, "roberta"), storedHead(2), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			config := adapter.Configure("lor2c",
				adapter.Values{"rank": 4, "alpha": 8, "target_modules": []string{"query", "value"}})
			config.Resolve()
			a, err := adapter.Attach(dev, m, adapter.Settings{Config: config, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			s := NewStepper(dev, m, a, optim.Default(), 1, Classification(dev, 2, nil, 0), 2)
			b := model.Batch{IDs: make([]int32, 9), Types: make([]int32, 9), Cu: []int32{0, 4, 9}, Labels: make([]float32, 2)}
			step := func(n int) {
				t.Helper()
				dev.calls = map[string]int{}
				if err := s.Step(n, []model.Batch{b}, 1); err != nil {
					t.Fatal(err)
				}
			}
			step(1)
			for _, change := range c.events {
				change(a.(*adapter.LoR2C))
				s.Change(func(*tape.Param) bool { return false })
			}
			step(2)
			for op, want := range map[string]int{
				"AttentionGrad": c.layers, "LayerNormGrad": 2 * c.layers,
				"LowRankDown": c.lowRank, "LowRankUp": c.lowRank, "LowRankDownGrad": c.lowRank, "LowRankUpGrad": c.lowRank,
			} {
				if got := dev.calls[op]; got != want {
					t.Errorf("%d calls of %s; want %d", got, op, want)
				}
			}
		})
	}
}
