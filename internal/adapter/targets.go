package adapter

import (
	"reflect"
	"slices"

	"github.com/lor2c/lor2c/internal/model"
)

// moduleLists are the keys of methods that list linear layers.
var moduleLists = []string{"target_modules", "feedforward_modules", "exclude_modules"}

// inMPNet maps the names of a BERT layer's linear layers in the defaults of methods to those of MPNet with the same
// part.
var inMPNet = map[string]string{
	"query": "q", "key": "k", "value": "v", "attention.output.dense": "o",
	"intermediate.dense": "intermediate.dense", "output.dense": "output.dense",
}

// inDecoder does the same for decoders. The defaults of LoRA and (IA)3 become those that PEFT has for decoders of the
// LLaMA family.
var inDecoder = map[string]string{
	"query": "q_proj", "key": "k_proj", "value": "v_proj", "attention.output.dense": "self_attn.o_proj",
	"intermediate.dense": "up_proj", "output.dense": "down_proj",
}

// On returns c for a network whose layers have the linear layers called sites. Lists of linear layers with their
// default values name the layers of BERT and RoBERTa; for another network they become the corresponding ones. Other
// lists stay.
func (c Config) On(sites []string) Config {
	var own map[string]string
	switch {
	case slices.Equal(sites, model.MPNetSiteNames):
		own = inMPNet
	case slices.Equal(sites, model.DecoderSiteNames):
		own = inDecoder
	default:
		return c
	}
	for _, key := range moduleLists {
		list, ok := c.Value(key).([]string)
		if !ok || !reflect.DeepEqual(c.Value(key), NewConfig(c.name).Value(key)) {
			continue
		}
		var names []string
		for _, name := range list {
			names = append(names, own[name])
		}
		c = c.With(Values{key: names})
	}
	return c
}
