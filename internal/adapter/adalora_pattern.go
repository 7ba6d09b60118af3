package adapter

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
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
	rank := -1
	for path, kept := range p.RankPattern {
		if rank >= 0 && len(kept) != rank {
			return fmt.Errorf("rank_pattern has %d ranks for %s; want %d, as for the others", len(kept), path, rank)
		}
		rank = len(kept)
	}
	if rank < 1 {
		return fmt.Errorf("rank_pattern has no ranks; want those of each linear layer")
	}
	return nil
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
