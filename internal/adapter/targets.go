package adapter

import (
	"fmt"
	"maps"
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

// ownNames returns the map to the names that the linear layers called sites have; nil for those of BERT and RoBERTa.
func ownNames(sites []string) map[string]string {
	switch {
	case slices.Equal(sites, model.MPNetSiteNames):
		return inMPNet
	case slices.Equal(sites, model.DistilBERTSiteNames):
		return inDistilBERT
	case slices.Equal(sites, model.DecoderSiteNames):
		return inDecoder
	}
	return nil
}

// allLinear is the list of target modules that stands for every linear layer of a layer, as in PEFT.
const allLinear = "all-linear"

// everyLinear reports whether a list of target modules stands for every linear layer of a layer.
func everyLinear(targetModules []string) bool {
	return slices.Equal(targetModules, []string{allLinear})
}

// On returns c for a network whose layers have the linear layers called sites. Lists of linear layers with their
// default values name the layers of BERT and RoBERTa; for another network they become the corresponding ones. The list
// all-linear becomes the names of all linear layers. Other lists stay.
func (c Config) On(sites []string) Config {
	own := ownNames(sites)
	for _, key := range moduleLists {
		list, ok := c.Value(key).([]string)
		var names []string
		switch {
		case !ok:
		case key == "target_modules" && everyLinear(list):
			for _, site := range sites {
				names = append(names, shortName(site))
			}
			c = c.With(Values{key: names})
		case own != nil && reflect.DeepEqual(c.Value(key), NewConfig(c.name).Value(key)):
			for _, name := range list {
				names = append(names, own[name])
			}
			c = c.With(Values{key: names})
		}
	}
	return c
}

// shortName returns the shortest name that selects a linear layer as a target module, such as query or o_proj. A bare
// dense selects none.
func shortName(site string) string {
	if strings.HasSuffix(site, ".dense") {
		return site
	}
	return site[strings.LastIndex(site, ".")+1:]
}

// checkTargets returns an error for a target module that names none of the linear layers called names. It says what a
// linear layer of another network is called in the one that has these names.
func checkTargets(targetModules, names []string) error {
	for _, target := range targetModules {
		if slices.ContainsFunc(names, func(name string) bool { return targets(target, name) }) {
			continue
		}
		var short []string
		for _, name := range names {
			short = append(short, shortName(name))
		}
		want := "some of " + strings.Join(short, ", ")
		if name := counterpart(target, names); name != "" {
			want = shortName(name) + ", or " + want
		}
		return fmt.Errorf("target module %s is not a linear layer of this model; want %s", place.Quote(target), want)
	}
	return nil
}

// counterpart returns the linear layer of names that has the part of the one that target names in another network, or
// "" if there is none.
func counterpart(target string, names []string) string {
	own := ownNames(names)
	if own == nil && !slices.Equal(names, model.SiteNames) {
		return ""
	}
	for _, role := range slices.Sorted(maps.Keys(inDecoder)) {
		for _, family := range []map[string]string{inMPNet, inDistilBERT, inDecoder, nil} {
			name, ok := family[role]
			if !ok {
				name = role
			}
			if shortName(name) != shortName(target) {
				continue
			}
			if own == nil {
				return role
			}
			return own[role]
		}
	}
	return ""
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
