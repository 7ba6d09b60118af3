package adapter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// peftScope is what is left of a PEFT configuration to be compared with the tensors, such as the keys that concern
// single linear layers. In lor2c, LoRA has one rank, one scale and the same linear layers in every layer. So smaller
// ranks are padded with zeros, which have no gradient, linear layers that the configuration leaves out have only zeros,
// and B is multiplied by the quotient if a linear layer has another scale.
type peftScope struct {
	form             *peftForm
	leaf             *regexp.Regexp // for what follows the path of a linear layer in the names of its tensors
	rank             int            // r, or init_r
	alpha            float64
	root             bool              // use_rslora
	kept             map[string][]bool // rank_pattern of AdaLoRA: the triplets in the file, by the path of e
	targets, exclude selector
	layers           []int              // nil for all
	layersPattern    []string           // what stands before the number of a layer; nil for any name
	layerOf          []*regexp.Regexp   // of layersPattern
	saved            []string           // modules_to_save
	ranks, alphas    []pattern          // in the order of the file
	scales           map[string]float32 // of each linear layer in the file over the method's scale
}

// selector is a list of modules of PEFT: the end of a path after a dot, or a regular expression for whole paths. The
// zero selector selects nothing.
type selector struct {
	names []string
	whole *regexp.Regexp
	all   bool

	unknown bool // what the configuration selects is not known; all is set
}

// pattern gives modules whose path ends with a match of a regular expression a value of their own.
type pattern struct {
	text  string
	end   *regexp.Regexp
	value float64
}

// readSelector decodes target_modules or exclude_modules.
func readSelector(raw json.RawMessage) (s selector) {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		// An expression that package regexp does not know is taken to select all, so that nothing may be missing.
		if s.whole, _ = regexp.Compile("^(?:" + text + ")$"); s.whole == nil || text == "all-linear" {
			return selector{all: true, unknown: s.whole == nil}
		}
		return s
	}
	_ = json.Unmarshal(raw, &s.names)
	return s
}

func (s selector) selects(module string) bool {
	if s.whole != nil {
		return s.whole.MatchString(module)
	}
	return s.all || slices.ContainsFunc(s.names, func(name string) bool {
		return module == name || strings.HasSuffix(module, "."+name)
	})
}

// readPatterns decodes rank_pattern or alpha_pattern.
func readPatterns(raw json.RawMessage) (list []pattern, err error) {
	if slices.Contains(append(unused, ""), string(raw)) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("is not an object of numbers")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value float64
		if err := d.Decode(&value); err != nil || !(value > 0) || math.IsInf(value, 0) {
			return nil, fmt.Errorf("has no positive number for %s", place.Quote(key.(string)))
		}
		end, err := regexp.Compile(`^(?:.*\.)?(?:` + key.(string) + `)$`)
		if err != nil {
			return nil, fmt.Errorf("has the expression %s, which lor2c cannot read", place.Quote(key.(string)))
		}
		list = append(list, pattern{key.(string), end, value})
	}
	return list, nil
}

// valueOf returns the value of the first pattern that matches a module, or other.
func valueOf(list []pattern, module string, other float64) float64 {
	for _, p := range list {
		if p.end.MatchString(module) {
			return p.value
		}
	}
	return other
}

// layerOf matches the number of a layer in the path of a module.
var layerOf = regexp.MustCompile(`\.(\d{1,6})\.`)

// adapts reports whether the configuration puts LoRA on a module.
func (s *peftScope) adapts(module string) bool {
	if s.exclude.selects(module) || !s.targets.selects(module) {
		return false
	}
	layer, ok := s.layer(module)
	return s.layers == nil || ok && slices.Contains(s.layers, layer)
}

// readScope decodes the keys of an adapter_config.json that concern single linear layers.
func readScope(path string, form *peftForm, c peftKeys, keys map[string]json.RawMessage) (*peftScope, error) {
	s := &peftScope{
		form: form, leaf: regexp.MustCompile("^(?:" + form.tensor + ")$"), rank: cmp.Or(c.InitRank, c.Rank), alpha: c.Alpha,
		root: c.UseRsLoRA, targets: readSelector(keys["target_modules"]), exclude: readSelector(keys["exclude_modules"]),
	}
	if s.exclude.all {
		s.exclude = selector{} // an expression that cannot be read excludes nothing, so that nothing may be missing
	}
	if s.targets.names == nil && s.targets.whole == nil {
		s.targets.unknown = s.targets.unknown || !s.targets.all
		s.targets.all = true
	}
	if err := s.readLayers(path, keys); err != nil {
		return nil, err
	}
	_ = json.Unmarshal(keys["modules_to_save"], &s.saved)
	if c.InitRank > 0 {
		return s, s.readKept(path, keys["rank_pattern"])
	}
	for _, p := range []struct {
		key  string
		list *[]pattern
	}{{"rank_pattern", &s.ranks}, {"alpha_pattern", &s.alphas}} {
		list, err := readPatterns(keys[p.key])
		if err != nil {
			return nil, unsupported{fmt.Errorf("adapter: open %s: %s %w; want an object that has a number for each "+
				"expression", path, p.key, err)}
		}
		*p.list = list
	}
	return s, nil
}

// readKept decodes the rank_pattern of AdaLoRA.
func (s *peftScope) readKept(path string, raw json.RawMessage) error {
	if slices.Contains(append(unused, ""), string(raw)) {
		return nil
	}
	err := strictjson.WithoutPlace(strictjson.Unmarshal(raw, &s.kept))
	if err == nil {
		err = checkRankPattern(encoded(rankPattern{s.kept}), 0)
	}
	if err == nil {
		for module, kept := range s.kept {
			if len(kept) != s.rank {
				err = fmt.Errorf("rank_pattern has %d ranks for %s, and init_r is %d", len(kept), place.Quote(module), s.rank)
			}
		}
	}
	if err != nil {
		return unsupported{fmt.Errorf("adapter: open %s: rank_pattern: %w; want a list of true and false for each linear "+
			"layer", path, err)}
	}
	return nil
}

// complete gives d, the description that an adapter_config.json gives, what the tensors of the file show.
func (s *peftScope) complete(described, path string, file tensorFile, d *Description) error {
	if s.form.tensor != "" {
		found, err := s.foundTargets(file, path)
		if err != nil {
			return err
		}
		if give := s.form.targets; give != nil {
			err = give(&d.Method, file, found)
		} else {
			err = d.Method.Set("target_modules", s.asListed(found))
		}
		if err != nil {
			return err
		}
	}
	if err := inFile(described, d.Method.Validate(), peftNames); err != nil {
		return err
	}
	if s.form.tensor != "" {
		if err := s.agree(described, file); err != nil {
			return err
		}
	}
	if err := s.fit(path, file, &d.Method); err != nil {
		return err
	}
	return inFile(described, d.Method.Validate(), peftNames)
}

// rankOf returns the rank that the configuration gives a linear layer.
func (s *peftScope) rankOf(module string) float64 {
	if kept, ok := s.kept[module+".lora_E"]; ok {
		return float64(len(positions(kept)))
	}
	return valueOf(s.ranks, module, float64(s.rank))
}

// positions returns the places of the true elements.
func positions(kept []bool) (at []int) {
	for i, k := range kept {
		if k {
			at = append(at, i)
		}
	}
	return at
}

// fit gives c, the settings that a configuration has for all linear layers, the largest rank of the file and the scale
// of those that no pattern names.
func (s *peftScope) fit(path string, file tensorFile, c *Config) error {
	scale := func(rank, alpha float64) float64 {
		if s.root {
			return alpha / math.Sqrt(rank)
		}
		return alpha / rank
	}
	largest, common := s.rank, scale(float64(s.rank), s.alpha)
	s.scales = map[string]float32{}
	for _, name := range file.Names() {
		module, leaf, ok := modulePath(name)
		_, shape, _ := file.Info(name)
		at := rankDimension(leaf)
		if !ok || at < 0 || len(shape) != 2 {
			continue
		}
		rank, want := shape[at], s.rankOf(module)
		if float64(rank) != want {
			return fmt.Errorf("adapter: open %s: %s has rank %d, and adapter_config.json gives it %g: %w", path, name, rank,
				want, ErrMismatch)
		}
		largest = max(largest, rank)
		s.scales[module] = float32(scale(want, valueOf(s.alphas, module, s.alpha)) / common)
	}
	if s.ranks == nil && s.alphas == nil {
		return nil
	}
	*c = c.With(Values{"rank": largest, "alpha": common * float64(largest), "use_rslora": false})
	return nil
}
