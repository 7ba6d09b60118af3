package dataset

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/place"
)

// drawEpoch is the epoch number that seeds the draw of a dev split. No epoch of
// training has this number, so the draw is independent of the order of every
// epoch.
const drawEpoch = -1

// divide draws about the given fraction of whole as dev and returns the rest as
// train, both in file order. The draw depends only on the seed and on whole.
//
// In classification dev gets the rounded fraction of each class, and at least
// one example of each class stays in train. Examples of equal texts stay on one
// side, so that no dev text is trained on. They count for the class of the
// first of them, and stay in train if dev needs fewer examples of that class.
func (t Task) divide(whole *Split, fraction float64, seed uint64) (train, dev *Split, err error) {
	strata := map[float32]*stratum{}
	var order []*stratum // in order of first appearance
	groups := map[string]*group{}
	for i, x := range whole.Examples {
		key := x.key()
		g, known := groups[key]
		if !known {
			g = &group{}
			groups[key] = g
			class := float32(0)
			if t.Labels != nil && t.Kind != MultiLabel {
				class = x.Label
			}
			s, known := strata[class]
			if !known {
				s = &stratum{}
				strata[class] = s
				order = append(order, s)
			}
			s.groups = append(s.groups, g)
			g.of = s
		}
		g.members = append(g.members, i)
		g.of.examples++
	}
	inDev := make([]bool, len(whole.Examples))
	for _, s := range order {
		members := make([][]int, len(s.groups))
		for i, g := range s.groups {
			members[i] = g.members
		}
		Draw(inDev, members, min(int(math.Round(fraction*float64(s.examples))), s.examples-1), seed)
	}
	train = &Split{Path: whole.Path, Files: whole.Files, Skipped: whole.Skipped, Findings: whole.Findings}
	dev = &Split{Path: whole.Path, Files: whole.Files}
	for i, x := range whole.Examples {
		if inDev[i] {
			dev.Examples = append(dev.Examples, x)
		} else {
			train.Examples = append(train.Examples, x)
		}
	}
	if len(dev.Examples) == 0 {
		return nil, nil, place.Mistake(fmt.Errorf("dataset: data.dev: %g of the %s of %s gives no example that "+
			"train can spare; want a larger fraction, or a file",
			fraction, place.Count(len(whole.Examples), "example", "examples"), whole.Path))
	}
	return train, dev, nil
}

// Draw marks in drawn the members of groups that are drawn for a dev split: groups in an order that depends on the seed
// and their number, each of them whole, and together at most want members. A group that is too large is passed over.
func Draw(drawn []bool, groups [][]int, want int, seed uint64) {
	for _, i := range Order(seed, drawEpoch, len(groups)) {
		members := groups[i]
		if len(members) > want {
			continue
		}
		want -= len(members)
		for _, m := range members {
			drawn[m] = true
		}
	}
}

// stratum is the examples of one class; in regression and multi-label
// classification, all examples.
type stratum struct {
	groups   []*group
	examples int
}

// group is the examples of equal texts.
type group struct {
	of      *stratum
	members []int
}
