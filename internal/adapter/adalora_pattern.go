package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// rankPattern is the structure of AdaLoRA.
type rankPattern struct {
	RankPattern map[string][]bool `json:"rank_pattern"`
}

func checkRankPattern(text json.RawMessage, _ int) error {
	var p rankPattern
	if err := strictjson.UnmarshalKnown(text, &p); err != nil {
		return err
	}
	paths := slices.Sorted(maps.Keys(p.RankPattern))
	for _, path := range paths {
		if n, first := len(p.RankPattern[path]), len(p.RankPattern[paths[0]]); n != first {
			return fmt.Errorf("rank_pattern has %d ranks for %s and %d for %s; want as many for each linear layer",
				n, place.Quote(path), first, place.Quote(paths[0]))
		}
	}
	if len(paths) == 0 || len(p.RankPattern[paths[0]]) == 0 {
		return fmt.Errorf("rank_pattern has no ranks; want those of each linear layer")
	}
	return nil
}

// readPattern keeps the rank pattern of an adapter, which must fit the linear layers. nil is that of one without.
func (m *AdaLoRA) readPattern(structure json.RawMessage) error {
	if structure == nil {
		return nil
	}
	if err := strictjson.UnmarshalKnown(structure, &m.stored); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(m.stored.RankPattern)) {
		if !slices.ContainsFunc(m.sites, func(w adaLoRASite) bool { return path == w.path() }) {
			return fmt.Errorf("rank_pattern has %s, which the method does not adapt: %w", place.Quote(path), ErrMismatch)
		}
		if n := len(m.stored.RankPattern[path]); n != m.own.InitRank {
			return fmt.Errorf("rank_pattern has %d ranks for %s; want method.init_rank, %d: %w", n, place.Quote(path),
				m.own.InitRank, ErrMismatch)
		}
	}
	return nil
}

// path is the name of the linear layer's e in a rank pattern.
func (w adaLoRASite) path() string { return strings.TrimPrefix(w.e.Name, filePrefix) }

// Restored returns an error if an element of e that the rank pattern of the file gives up is not zero.
func (m *AdaLoRA) Restored() error {
	if m.stored.RankPattern == nil {
		return nil
	}
	for _, w := range m.sites {
		kept := m.stored.RankPattern[w.path()]
		for i, x := range w.e.Values(m.dev) {
			if x != 0 && (kept == nil || !kept[i]) {
				return fmt.Errorf("adapter: load adalora: rank_pattern gives up triplet %d of %s, and its element of the tensor "+
					"is %g; want the pattern that belongs to the tensors: %w", i, place.Quote(w.path()), x, ErrMismatch)
			}
		}
	}
	return m.dev.Err()
}

// Structure returns the rank pattern, in the form that PEFT gives it, or nil before elements of e were set to zero.
func (m *AdaLoRA) Structure() json.RawMessage {
	if !m.masked {
		return nil
	}
	_, pattern := m.ranks()
	return encoded(rankPattern{pattern})
}

// maskedScalars returns how many scalars of a tensor belong to triplets that are not kept. A triplet is a row of
// lora_A, a column of lora_B and an element of lora_E, so they are a share of the tensor.
func maskedScalars(structure json.RawMessage, tensor string, shape []int) int {
	var p rankPattern
	if strictjson.UnmarshalKnown(structure, &p) != nil {
		return 0
	}
	module := strings.TrimPrefix(tensor[:strings.LastIndex(tensor, ".")+1], filePrefix)
	kept, masked := p.RankPattern[module+"lora_E"], 0
	for _, k := range kept {
		if !k {
			masked++
		}
	}
	return compute.Shape(shape).Len() * masked / max(len(kept), 1)
}
