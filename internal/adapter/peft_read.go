package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// unsupported marks the error of an adapter that PEFT computes in a way that
// lor2c does not support, or whose files contradict each other. It wraps ErrMismatch and does not change the text of
// the error.
type unsupported struct{ error }

func (unsupported) Is(target error) bool { return target == ErrMismatch }

func (u unsupported) Unwrap() error { return u.error }

// readPEFT reads the adapter_config.json of an adapter that PEFT wrote. The settings lack what the tensors show; see
// peftScope.complete.
func readPEFT(dir string) (d Description, scope *peftScope, err error) {
	path := filepath.Join(dir, peftFile)
	raw, err := infile.Read(path, infile.Config)
	if err != nil {
		return d, nil, fmt.Errorf("adapter: open %s: %w", path, err)
	}
	var c peftKeys
	if err := unmarshal(path, raw, &c, strictjson.Unmarshal, "the JSON that PEFT writes"); err != nil {
		return d, nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return d, nil, fmt.Errorf("adapter: open %s: it is not a JSON object; want the JSON that PEFT writes", path)
	}
	if keys["peft_type"] == nil {
		return d, nil, fmt.Errorf("adapter: open %s: there is no peft_type; want the JSON that PEFT writes", path)
	}
	method, form, err := formOf(path, keys)
	if err != nil {
		return d, nil, err
	}
	if err := form.checkKeys(path, keys); err != nil {
		return d, nil, err
	}
	if form.check != nil {
		if err := form.check(c); err != nil {
			return d, nil, unsupported{fmt.Errorf("adapter: open %s: %w", path, err)}
		}
	}
	d = Description{Format: format, Method: Configure(method, form.values(c))}
	d.Base.Path, d.Base.Layers = c.BaseModel, c.Layers
	if c.TaskType == tokenTask {
		d.Task.Kind = Tokens
	}
	if scope, err = readScope(path, form, c, keys); err == nil && scope.kept != nil {
		d.Structure = encoded(rankPattern{scope.kept})
	}
	return d, scope, err
}

// compact returns a value of JSON without spaces.
func compact(raw json.RawMessage) string {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return string(raw)
	}
	return line.String()
}

// shown returns a value of JSON as text for an error.
func shown(raw json.RawMessage) string {
	value := compact(raw)
	if len(value) > 60 || strings.ContainsFunc(value, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return place.Quote(value)
	}
	return value
}

// stack matches the path of a linear layer in a model: the path of the stack of layers, the layer, and the linear layer
// within it.
var stack = regexp.MustCompile(`^(\w+\.(?:encoder|transformer)\.layer|model\.layers)\.(\d{1,6})\.(.+)$`)

// foundTargets returns the linear layers that have tensors of the method, in alphabetical order. These show what was
// adapted, whether the configuration has a list, a regular expression or all-linear. Only some layers may have a linear
// layer adapted if the configuration, whose scope is s, says so.
func (s *peftScope) foundTargets(file tensorFile, path string) ([]string, error) {
	layers := map[string][]string{} // the adapted linear layers of each layer
	last, root := 0, ""
	var found []string
	for _, name := range file.Names() {
		if !strings.Contains(name, "lora_") && !strings.Contains(name, "vera_lambda_") && !strings.Contains(name, ".ia3_") {
			continue
		}
		module, leaf, ok := modulePath(name)
		m := stack.FindStringSubmatch(module)
		if !ok || m == nil || !s.leaf.MatchString(leaf) || !slices.Contains(anySite(), m[3]) {
			return nil, unsupported{fmt.Errorf("adapter: open %s: tensor %s does not adapt a linear layer of any layer; "+
				"lor2c reads %s on %s",
				path, place.Quote(name), s.form.name, place.List(anySite()))}
		}
		if l, err := strconv.Atoi(m[2]); err == nil {
			last = max(last, l)
		}
		root = m[1]
		if !slices.Contains(layers[m[2]], m[3]) {
			layers[m[2]] = append(layers[m[2]], m[3])
		}
		if !slices.Contains(found, m[3]) {
			found = append(found, m[3])
		}
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("adapter: open %s: it has no tensor of %s; want the tensors that PEFT writes", path,
			s.form.name)
	}
	slices.Sort(found)
	for l := range last + 1 {
		has := layers[strconv.Itoa(l)]
		for _, name := range found {
			if !slices.Contains(has, name) && s.adapts(fmt.Sprintf("%s.%d.%s", root, l, name)) {
				return nil, unsupported{fmt.Errorf("adapter: open %s: layer %d has %s on %s and other layers also on %s; want "+
					"the same modules in every layer, or a configuration that leaves some out", path, l, s.form.name, orNone(has),
					place.Quote(name))}
			}
		}
	}
	return found, nil
}

// asListed returns the names of the configuration for the linear layers that were found, if it has a list of the same.
func (s *peftScope) asListed(found []string) []string {
	var named []string
	for _, name := range anySite() {
		if targeted(s.targets.names, name) {
			named = append(named, name)
		}
	}
	slices.Sort(named)
	if slices.Equal(named, found) && checkTargets(s.targets.names, anySite()) == nil {
		return s.targets.names
	}
	return found
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return place.List(names)
}

// unmarshal decodes the text of a file of an adapter directory.
func unmarshal(path string, text []byte, v any, decode func([]byte, any) error, want string) error {
	if what := infile.Describe(text[:min(len(text), 64)]); what != "" {
		return fmt.Errorf("adapter: open %s: it is not JSON but %s", path, what)
	}
	if err := decode(text, v); err != nil {
		return fmt.Errorf("adapter: open %s:%w; want %s", path, err, want)
	}
	return nil
}

// inFile joins faults, each after the path. rename changes the keys that they
// name.
func inFile(path string, faults []error, rename *strings.Replacer) error {
	for i, fault := range faults {
		faults[i] = fmt.Errorf("adapter: open %s: %s", path, rename.Replace(fault.Error()))
	}
	return errors.Join(faults...)
}

var (
	sameKeys  = strings.NewReplacer()
	peftNames = strings.NewReplacer("method.rank", "r", "method.alpha", "lora_alpha", "method.dropout", "lora_dropout",
		"method.init_rank", "init_r", "method.target_rank", "target_r", "method.", "")
)
