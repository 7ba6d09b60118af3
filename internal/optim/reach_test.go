package optim_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestReach compares Reach with what a float32 device does. A value for which Reach is above 1 must change, and one
// for which it is less than a quarter must keep its bits.
func TestReach(t *testing.T) {
	changed, kept := 0, 0
	for _, value := range []float32{0, 1e-6, 0.02, -0.5, 1, -1, 1.5, 300} {
		for _, gradient := range []float32{1e-12, -1e-7, 0.3} {
			for exponent := -12; exponent < 0; exponent++ {
				c := optim.Default()
				c.LR, c.MaxGradNorm, c.WeightDecay = 3*math.Pow10(exponent), 0, 0
				dev := cpu.Open[float32](1)
				p := &tape.Param{Name: "p", Value: dev.Alloc(compute.Shape{1}, compute.Working)}
				dev.Upload(p.Value, []float32{value})
				o := optim.New(dev, c, []*tape.Param{p}, nil)
				loss := dev.Alloc(compute.Shape{1}, compute.Exact)
				o.Zero()
				dev.Upload(p.Grad, []float32{gradient})
				o.Step(loss, 0.5)
				got, m, v := make([]float32, 1), make([]float32, 1), make([]float32, 1)
				moments := o.Moments()[0]
				dev.Download(got, p.Exact())
				dev.Download(m, moments.First)
				dev.Download(v, moments.Second)
				reach := o.Reach(0, 0.5, []float32{value}, m, v)
				name := fmt.Sprintf("value=%g gradient=%g lr=%g", value, gradient, c.LR)
				switch {
				case reach > 1 && got[0] == value:
					t.Errorf("%s: reach is %.3g, but the value did not change", name, reach)
				case reach < 0.25 && got[0] != value:
					t.Errorf("%s: reach is %.3g, but the value became %g", name, reach, got[0])
				case reach > 1:
					changed++
				case reach < 0.25:
					kept++
				}
				dev.Close()
			}
		}
	}
	if changed < 50 || kept < 50 {
		t.Errorf("%d values were in reach and %d out of it; want many of both", changed, kept)
	}
}
