package adapter

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// moduleLists are the keys of methods that list linear layers.
var moduleLists = []string{"target_modules", "feedforward_modules", "exclude_modules"}

// inMPNet maps the names of a BERT layer's linear layers in the defaults of methods to those of MPNet with the same
// part.
var inMPNet = map[string]string{
	"query": "q", "key": "k", "value": "v", "attention.output.dense": "o",
	"intermediate.dense": "intermediate.dense", "output.dense": "output.dense",
}

// inDistilBERT does the same for DistilBERT.
var inDistilBERT = map[string]string{
	"query": "q_lin", "key": "k_lin", "value": "v_lin", "attention.output.dense": "out_lin",
	"intermediate.dense": "lin1", "output.dense": "lin2",
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
	case slices.Equal(sites, model.DistilBERTSiteNames):
		own = inDistilBERT
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

// checkTargets returns an error for a target module that names none of the linear layers called names.
func checkTargets(targetModules, names []string) error {
	for _, target := range targetModules {
		if !slices.ContainsFunc(names, func(name string) bool { return targets(target, name) }) {
			return fmt.Errorf("target module %s is not a linear layer of this model; want some of %v",
				place.Quote(target), names)
		}
	}
	return nil
}

// siteNames lists the linear layers of a layer of n.
func siteNames(n model.Network) (names []string) {
	for _, s := range n.Sites() {
		if s.Layer == 0 {
			names = append(names, s.Name)
		}
	}
	return names
}

// anySite lists the linear layers that a layer of any network may have, each once.
func anySite() []string {
	names := slices.Clone(model.SiteNames)
	for _, name := range slices.Concat(model.MPNetSiteNames, model.DistilBERTSiteNames, model.DecoderSiteNames) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkTargets returns an error for a target module that names no linear layer of the network.
func (b builder) checkTargets(targetModules []string) error {
	if err := checkTargets(targetModules, siteNames(b)); err != nil {
		return fmt.Errorf("adapter: attach %s: %w", b.Name(), err)
	}
	return nil
}

// linears calls f for each linear layer that target modules name, by layer and by their order within it, with the path
// of the layer's tensors in a file and the widths of its input and output.
func (b builder) linears(targetModules []string, f func(s model.Site, module string, in, out int)) error {
	return b.linearsExcept(targetModules, nil, f)
}

// linearsExcept is linears without the linear layers that exclude names.
func (b builder) linearsExcept(
	targetModules, exclude []string, f func(s model.Site, module string, in, out int),
) error {
	for _, list := range [][]string{targetModules, exclude} {
		if err := b.checkTargets(list); err != nil {
			return err
		}
	}
	for l := range b.HiddenLayers() {
		b.linearsOf(l, targetModules, func(s model.Site, module string, in, out int) {
			if !targeted(exclude, s.Name) {
				f(s, module, in, out)
			}
		})
	}
	return nil
}

// linearsOf is linears for one layer, without a check of the target modules.
func (b builder) linearsOf(layer int, targetModules []string, f func(s model.Site, module string, in, out int)) {
	for _, s := range sites(b, layer, targetModules) {
		w := b.Linear(s).W.Value.Shape
		f(s, filePrefix+s.Path, w[1], w[0])
	}
}

// targets reports whether target selects the layer called name by PEFT's rule:
// target is the name, or the end of the name after a dot. A bare "dense"
// selects nothing, because in PEFT it would include the classification head.
func targets(target, name string) bool {
	return target != "dense" && (target == name || strings.HasSuffix(name, "."+target))
}

// targeted reports whether any of the target modules selects the layer called
// name.
func targeted(targetModules []string, name string) bool {
	return slices.ContainsFunc(targetModules, func(target string) bool { return targets(target, name) })
}

// sites returns the linear layers of a layer that target modules select.
func sites(n model.Network, layer int, targetModules []string) (found []model.Site) {
	for _, s := range n.Sites() {
		if s.Layer == layer && targeted(targetModules, s.Name) {
			found = append(found, s)
		}
	}
	return found
}
