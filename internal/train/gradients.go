package train

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/tape"
)

// gradientSums adds up the absolute values of the gradients of an adapter's
// parameters. The sums stay on the device, so a step does not have to wait for them.
type gradientSums struct {
	stepper *Stepper
	params  []summed
	sums    compute.Tensor // [len(params)], the sums of |g| since the last record
	steps   int            // number of steps in the sums
}

// summed is a parameter with the factor and the layer that it had when its sum was
// started. A change of the method's structure may move a parameter to another layer.
type summed struct {
	*tape.Param
	factor string
	layer  int
}

// newGradientSums returns sums of zero for the parameters that the method has now.
// After the method has changed its parameters, new sums are needed.
func newGradientSums(s *Stepper) *gradientSums {
	g := &gradientSums{stepper: s}
	for _, p := range s.Method.Params() {
		g.params = append(g.params, summed{p, p.Factor, p.Layer})
	}
	g.sums = s.Dev.Alloc(compute.Shape{max(len(g.params), 1)}, compute.Exact)
	return g
}

// add queues adding the gradients of the step that was queued last.
func (g *gradientSums) add() {
	g.steps++
	for i, p := range g.params {
		if p.Trains() {
			g.stepper.Dev.SumAbs(g.sums.View(i, i+1), p.Grad)
		}
	}
}

// read waits for the device and returns the sums.
func (g *gradientSums) read() ([]float32, error) {
	sums := make([]float32, g.sums.Shape.Len())
	g.stepper.Dev.Download(sums, g.sums)
	return sums, g.stepper.Dev.Err()
}

// restore sets the sums to values that read returned after the given number of
// steps.
func (g *gradientSums) restore(sums []float32, steps int) {
	if len(sums) == g.sums.Shape.Len() {
		g.stepper.Dev.Upload(g.sums, sums)
		g.steps = steps
	}
}

// record returns the mean absolute gradient of A and of B by layer, and sets the sums
// to zero. An A that layers share is left out, because it does not belong to one
// layer.
func (g *gradientSums) record() (runlog.Gradient, error) {
	sums, err := g.read()
	if err != nil {
		return runlog.Gradient{}, err
	}
	rec := runlog.Gradient{Steps: g.steps, Layers: []runlog.LayerGradient{}}
	for i, p := range g.params {
		if p.factor == "" {
			continue
		}
		n := len(rec.Layers)
		if n == 0 || rec.Layers[n-1].Layer != p.layer {
			rec.Layers = append(rec.Layers, runlog.LayerGradient{Layer: p.layer})
			n++
		}
		m := &rec.Layers[n-1].A
		if p.factor == "B" {
			m = &rec.Layers[n-1].B
		}
		m.Abs += float64(sums[i])
		m.Count += p.Value.Shape.Len()
	}
	for i := range rec.Layers {
		for _, m := range []*runlog.MeanAbsolute{&rec.Layers[i].A, &rec.Layers[i].B} {
			if m.Count > 0 {
				m.Abs /= float64(m.Count * g.steps)
			}
		}
	}
	g.stepper.Dev.Fill(g.sums, 0)
	g.steps = 0
	return rec, nil
}

// close frees the memory of the sums on the device.
func (g *gradientSums) close() { g.stepper.Dev.Free(g.sums) }

// recordGradients logs the mean gradients since the last record. It does nothing if
// there was no step since.
func (r *run) recordGradients(step int) error {
	if r.gradients == nil || r.gradients.steps == 0 {
		return nil
	}
	rec, err := r.gradients.record()
	if err != nil {
		return err
	}
	rec.Step, rec.Epoch = step, r.epochs(step)
	r.log.Gradient(rec)
	return r.log.Err()
}
