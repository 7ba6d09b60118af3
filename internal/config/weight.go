package config

import (
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Weight is an element of train.class_weights: a number, or Balanced.
type Weight string

// Balanced means, as the only element of a list, that the data determine the
// weights.
const Balanced Weight = "balanced"

// MarshalYAML returns w without the quotes that YAML would put around digits.
func (w Weight) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(w)}, nil
}

// Balanced reports whether the weights of the classes follow from how often each
// class occurs.
func (t Train) Balanced() bool { return len(t.ClassWeights) == 1 && t.ClassWeights[0] == Balanced }

// Weights returns the numbers of ClassWeights in the order of the labels, or
// nil if there are none or if they are balanced. t must be valid.
func (t Train) Weights() (weights []float64) {
	if t.Balanced() {
		return nil
	}
	for _, w := range t.ClassWeights {
		v, err := strconv.ParseFloat(string(w), 64)
		if err != nil {
			panic(Bug{"weights", fmt.Sprintf("%q passed Validate", w)})
		}
		weights = append(weights, v)
	}
	return weights
}

// validateWeights returns every fault of ClassWeights.
func (t Train) validateWeights() (faults []error) {
	if t.Balanced() {
		return nil
	}
	for i, w := range t.ClassWeights {
		v, err := strconv.ParseFloat(string(w), 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			faults = append(faults, fmt.Errorf("train.class_weights[%d]: is %s; "+
				"want %s alone, or a number for each label, more than 0 and finite", i, printable(string(w)), Balanced))
		}
	}
	return faults
}
