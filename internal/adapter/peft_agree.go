package adapter

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// readLayers decodes layers_to_transform, which is one number or a list, and layers_pattern, which is one expression or
// a list and stands before the number of a layer in the path of a module.
func (s *peftScope) readLayers(path string, keys map[string]json.RawMessage) error {
	var layer int
	if raw := keys["layers_to_transform"]; json.Unmarshal(raw, &s.layers) != nil && json.Unmarshal(raw, &layer) == nil {
		s.layers = []int{layer}
	}
	if len(s.layers) == 0 || s.targets.whole != nil { // as PEFT does
		s.layers = nil
		return nil
	}
	var one string
	if raw := keys["layers_pattern"]; json.Unmarshal(raw, &s.layersPattern) != nil && json.Unmarshal(raw, &one) == nil &&
		one != "" {
		s.layersPattern = []string{one}
	}
	for _, text := range s.layersPattern {
		number, err := regexp.Compile(`(?:^|\.)(?:` + text + `)\.(\d{1,6})\.`)
		if err != nil {
			return unsupported{fmt.Errorf("adapter: open %s: layers_pattern has the expression %s, which lor2c cannot "+
				"read", path, place.Quote(text))}
		}
		s.layerOf = append(s.layerOf, number)
	}
	return nil
}

// layer returns the number of the layer of a module as PEFT finds it.
func (s *peftScope) layer(module string) (layer int, ok bool) {
	expressions := s.layerOf
	if expressions == nil {
		expressions = []*regexp.Regexp{layerOf}
	}
	for _, e := range expressions {
		if m := e.FindStringSubmatch(module); m != nil {
			layer, err := strconv.Atoi(m[len(m)-1])
			return layer, err == nil
		}
	}
	return 0, false
}

// agree returns an error if the configuration names linear layers, layers or modules that have no tensor in the file,
// or leaves out a linear layer that has one. PEFT would compute something else than the directory seems to contain,
// because it ignores such tensors and draws those that are missing.
func (s *peftScope) agree(config string, file tensorFile) error {
	var modules, other []string
	for _, name := range file.Names() {
		if module, _, ok := modulePath(name); ok {
			if !slices.Contains(modules, module) {
				modules = append(modules, module)
			}
		} else if !strings.Contains(name, "lora_") {
			other = append(other, strings.TrimPrefix(name, filePrefix))
		}
	}
	fault := s.leavesOut(modules)
	for _, check := range []func([]string) string{s.lacks, s.lacksLayer, s.lacksPattern} {
		if fault == "" {
			fault = check(modules)
		}
	}
	if fault == "" {
		fault = s.lacksSaved(other)
	}
	if fault == "" {
		return nil
	}
	return unsupported{fmt.Errorf("adapter: open %s: %s; want the configuration that was saved with the tensors", config,
		fault)}
}

// leavesOut returns a sentence about a key that leaves out one of modules, which have tensors.
func (s *peftScope) leavesOut(modules []string) string {
	for _, m := range modules {
		key := ""
		switch layer, found := s.layer(m); {
		case s.exclude.selects(m):
			key = "exclude_modules"
		case !s.targets.selects(m):
			key = "target_modules"
		case s.layers == nil:
		case !found && s.layersPattern != nil:
			key = "layers_pattern " + place.List(s.layersPattern)
		case !found || !slices.Contains(s.layers, layer):
			key = "layers_to_transform"
		}
		if key != "" {
			return fmt.Sprintf("%s leaves out %s, which has tensors", key, m)
		}
	}
	return ""
}

// lacks returns a sentence about a linear layer that target_modules selects and that has a tensor in no layer.
func (s *peftScope) lacks(modules []string) string {
	if s.targets.unknown {
		return ""
	}
	root, _, _ := strings.Cut(modules[0], ".")
	sites := model.EncoderSites(root)
	if root == "model" {
		sites = model.DecoderSiteNames
	}
	path := modules[0][:layerOf.FindStringIndex(modules[0])[0]]
	for _, site := range sites {
		if slices.ContainsFunc(modules, func(m string) bool { return strings.HasSuffix(m, "."+site) }) {
			continue
		}
		for _, m := range modules {
			if layer, _ := s.layer(m); s.adapts(fmt.Sprintf("%s.%d.%s", path, layer, site)) {
				return fmt.Sprintf("target_modules names %s, which has no tensors", site)
			}
		}
	}
	return ""
}

// lacksLayer returns a sentence about a number of layers_to_transform whose layer has no tensors.
func (s *peftScope) lacksLayer(modules []string) string {
	for _, layer := range s.layers {
		if !slices.ContainsFunc(modules, func(m string) bool { l, ok := s.layer(m); return ok && l == layer }) {
			return fmt.Sprintf("layers_to_transform names layer %d, which has no tensors", layer)
		}
	}
	return ""
}

// lacksPattern returns a sentence about an expression of rank_pattern or alpha_pattern that matches no module.
func (s *peftScope) lacksPattern(modules []string) string {
	for _, list := range []struct {
		key      string
		patterns []pattern
	}{{"rank_pattern", s.ranks}, {"alpha_pattern", s.alphas}} {
		for _, p := range list.patterns {
			if !slices.ContainsFunc(modules, p.end.MatchString) {
				return fmt.Sprintf("%s has a value for %s, which matches no module with tensors", list.key, place.Quote(p.text))
			}
		}
	}
	return ""
}

// heads are the modules that PEFT adds to modules_to_save for the tasks that have a head, whatever the model calls it.
var heads = []string{"classifier", "score", "qa_outputs"}

// lacksSaved returns a sentence about a module of modules_to_save that has none of the tensors, which are not of LoRA.
func (s *peftScope) lacksSaved(tensors []string) string {
	for _, m := range s.saved {
		of := func(tensor string) bool { return strings.Contains("."+tensor, "."+m+".") }
		if !slices.Contains(heads, m) && !slices.ContainsFunc(tensors, of) {
			return fmt.Sprintf("modules_to_save names %s, which has no tensors", place.Quote(m))
		}
	}
	return ""
}
