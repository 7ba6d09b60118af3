package train

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/tape"
)

// LayerNorms are the sizes of what a layer has in an optimizer step.
type LayerNorms struct {
	Layer string `json:"layer"` // its number from 0, or "other": embeddings, head, and what belongs to no layer
	// Output is the root mean square of the output of the layer's last op with weights, and Largest the largest
	// absolute value of the outputs of all of them.
	Output  metric.Number `json:"output_rms"`
	Largest metric.Number `json:"largest"`
	// Parameters and Gradient are the L2 norms of the trained parameters and of their gradients.
	Parameters metric.Number `json:"parameters"`
	Gradient   metric.Number `json:"gradient"`
	Trained    int           `json:"trained"` // scalars
}

// other is the key of what belongs to no layer.
const other = -1

// norms collects the sizes of the tensors of a step.
type norms struct {
	dev compute.Device
	by  map[int]*sums // by layer
	bad bool          // an output of an op is not finite
}

// sums are those of a layer. squares and count are of the last op, over all micro-batches.
type sums struct {
	last                 string
	squares, largest     float64
	count, trained       int
	parameters, gradient float64 // sums of squares
}

func newNorms(dev compute.Device) *norms { return &norms{dev: dev, by: map[int]*sums{}} }

var layerOf = regexp.MustCompile(`\blayers?\.(\d+)\.`)

// layer returns the sums of the layer that a name has.
func (n *norms) layer(name string) *sums {
	key := other
	if m := layerOf.FindStringSubmatch(name); m != nil {
		key, _ = strconv.Atoi(m[1])
	}
	if n.by[key] == nil {
		n.by[key] = &sums{}
	}
	return n.by[key]
}

// output takes the output of an op. It is a watch of Stepper.gradient.
func (n *norms) output(_, name string, y compute.Tensor) {
	values := n.read(y)
	s, squares, largest := n.layer(name), 0.0, 0.0
	for _, v := range values {
		squares += float64(v) * float64(v)
		largest = math.Max(largest, math.Abs(float64(v)))
	}
	n.bad = n.bad || slices.ContainsFunc(values, notFinite)
	if name == "" {
		return
	}
	if s.last != name {
		s.last, s.squares, s.count = name, 0, 0
	}
	s.squares, s.count, s.largest = s.squares+squares, s.count+len(values), math.Max(s.largest, largest)
}

// parameters takes the trained parameters and their gradients, and returns the sum of the squares of all gradients.
func (n *norms) parameters(params []*tape.Param) (sum float64) {
	for _, p := range params {
		s := n.layer(p.Name)
		s.trained += p.Value.Shape.Len()
		for _, v := range n.read(p.Exact()) {
			s.parameters += float64(v) * float64(v)
		}
		for _, v := range n.read(p.Grad) {
			s.gradient += float64(v) * float64(v)
			sum += float64(v) * float64(v)
		}
	}
	return sum
}

func (n *norms) read(x compute.Tensor) []float32 {
	values := make([]float32, x.Shape.Len())
	n.dev.Download(values, x)
	return values
}

// layers returns the norms by layer, with the rest at the end.
func (n *norms) layers() (all []LayerNorms) {
	root := func(squares float64) metric.Number { return metric.Number(math.Sqrt(squares)) }
	keys := slices.SortedFunc(maps.Keys(n.by), func(a, b int) int {
		if (a == other) != (b == other) {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	})
	for _, key := range keys {
		s, name := n.by[key], strconv.Itoa(key)
		if key == other {
			name = "other"
		}
		all = append(all, LayerNorms{
			Layer: name, Output: root(s.squares / float64(s.count)), Largest: metric.Number(s.largest),
			Parameters: root(s.parameters), Gradient: root(s.gradient), Trained: s.trained,
		})
	}
	return all
}
