package adapter

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// uniform draws the values of p from U(-bound, bound), by the seed of the run and the name of p.
func (b builder) uniform(p *tape.Param, bound float64) {
	values := make([]float32, p.Value.Shape.Len())
	compute.Uniform(values, b.Seed, p.Name, bound)
	p.Upload(b.dev, values)
}

// normal draws the values of p from a normal distribution, by the seed of the run and the name of p.
func (b builder) normal(p *tape.Param, std float64) {
	values := make([]float32, p.Value.Shape.Len())
	compute.Normal(values, b.Seed, p.Name, std)
	p.Upload(b.dev, values)
}

// drawn returns a number from 0 to n-1, of which each is as probable. The seed and the name alone decide it.
func drawn(seed uint64, name string, n int) int {
	var u [1]float32
	compute.Uniform(u[:], seed, name, 1) // of [-1, 1)
	return int((float64(u[0]) + 1) / 2 * float64(n))
}
