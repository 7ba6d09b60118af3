package model

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/place"
)

// New allocates the network of c with the given number of outputs and copies
// the values of src into it. If src does not have the head, it is drawn from
// seed. Trained parameters keep exact values; these are the parameters of the
// head, and those of the encoder for whose names trains, if it is not nil,
// returns true. Weights that c.FourBit lists
// and that are not trained are allocated in four bits, and are left to the
// caller.
func New(
	dev compute.Device, c Config, outputs int, seed uint64, trains func(name string) bool, src Source,
) (*Encoder, error) {
	b := builder{dev: dev, src: src, seed: seed, trains: trains, fourBit: c.FourBit}
	f := c.family()
	m := &Encoder{Config: c, Prefix: f.prefix, act: activations[c.Activation]}
	b.prefix = m.Prefix + "."
	e := "embeddings."
	m.word = b.param(e+"word_embeddings.weight", c.Vocab, c.Width)
	m.position = b.param(e+"position_embeddings.weight", c.Positions, c.Width)
	if f.types {
		m.types = b.param(e+"token_type_embeddings.weight", c.Types, c.Width)
	}
	m.norm = b.norm(e+"LayerNorm", c.Width)
	if c.Type == mpnet {
		m.relative = newRelative(&b, c)
	}
	for l := 0; l < c.Layers && b.err == nil; l++ {
		var k block
		for i, name := range f.sites {
			in, out := c.Width, c.Width
			switch i {
			case siteIntermediate:
				out = c.FF
			case siteOutput:
				in = c.FF
			}
			s := Site{Layer: l, Index: i, Name: name, Path: m.LayerPath(l) + "." + name}
			m.sites = append(m.sites, s)
			k.linear = append(k.linear, b.linear(strings.TrimPrefix(s.Path, b.prefix), out, in))
		}
		p := strings.TrimPrefix(m.LayerPath(l), b.prefix) + "."
		k.norm1, k.norm2 = b.norm(p+f.norms[0], c.Width), b.norm(p+f.norms[1], c.Width)
		m.blocks = append(m.blocks, k)
	}
	if f.pools() {
		// A checkpoint without a pooler, as sentence encoders have, gets a new one.
		// Because it starts at random, it belongs to the head, which is trained.
		m.pooler = b.linear("pooler.dense", c.Width, c.Width)
	}
	m.base = b.params
	b.params, b.prefix, b.head = b.drawn, "", true
	if f.dense != "" {
		m.dense = b.linear(f.dense, c.Width, c.Width)
	}
	m.out = b.linear(f.out, outputs, c.Width)
	m.head = b.params
	return m, b.err
}

// Load reads a Hugging Face model directory. It returns an error if a value that the
// model uses is not finite, or if the sizes in config.json are not those of the
// weights. head describes the classification head; values that are not read from the
// directory are drawn from seed. trains is as for New.
func Load(dev compute.Device, dir string, head Head, seed uint64, trains func(name string) bool) (*Encoder, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	c.Tokens = head.Tokens
	w, err := bitsandbytes.Open(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := checkWeights(w, dir, &c); err != nil {
		return nil, err
	}
	origin := headOrigin(w, c, head)
	buf := make([]float32, max(c.Vocab, c.Positions, c.Types, c.FF, c.Width, c.Buckets, head.Outputs)*c.Width)
	m, err := New(dev, c, head.Outputs, seed, trains, func(name string, shape compute.Shape) ([]float32, bool, error) {
		stored, found := storedName(w, c, name)
		// The only parameter that checkWeights allows to be missing is the pooler.
		if !found || isHead(c, name) && origin != HeadTaken {
			return nil, false, nil
		}
		defer w.Drop(stored)
		dst := buf[:shape.Len()]
		if err := w.ReadFinite(dst, stored); err != nil {
			return nil, false, err
		}
		if strings.HasPrefix(name, c.family().out+".") {
			dst = permuted(dst, head.Rows)
		}
		return dst, true, nil
	})
	if err != nil {
		return nil, err
	}
	m.HeadOrigin = origin
	return m, uploadFourBit(dev, m, func(name string) (string, bool) { return storedName(w, c, name) }, w)
}

// CheckWeights returns an error if the sizes in c, which was read from dir, are not
// those of the tensors in the header of dir's weights. It does not read the tensors.
// It sets c.FourBit.
// Call it before allocating memory by the sizes of a configuration, because these can
// be arbitrarily large.
func CheckWeights(dir string, c *Config) error {
	w, err := bitsandbytes.Open(dir)
	if err != nil {
		return err
	}
	defer w.Close()
	return checkWeights(w, dir, c)
}

func checkWeights(w *bitsandbytes.Model, dir string, own *Config) error {
	c := *own
	c.FourBit = nil
	config := filepath.Join(dir, configFile)
	names := w.Names()
	if layers := storedLayers(c, names); layers != c.Layers && layers > 0 {
		return fmt.Errorf("model: load %s: %s is %d, but the weights have %s; use the config.json "+
			"of these weights",
			config, c.key("num_hidden_layers"), c.Layers, place.Count(layers, "layer", "layers"))
	}
	read := map[string]bool{}
	// New calls the source for each parameter of c, on a device that only counts
	// memory.
	m, err := New(nulldev.Open(4), c, 1, 0, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
		if isHead(c, name) {
			return nil, true, nil
		}
		stored, found := storedName(w, c, name)
		if !found && strings.Contains(name, "pooler.") {
			return nil, true, nil
		}
		if !found {
			return nil, false, fmt.Errorf("model: load %s: there is no tensor %s; use the weights of a %s encoder", dir, name,
				c.Type)
		}
		read[stored] = true
		if _, got, _ := w.Info(stored); !slices.Equal(got, shape) {
			return nil, false, fmt.Errorf("model: load %s: %s is %v; %s has %v", w.Home(stored), stored, got, config,
				[]int(shape))
		}
		return nil, true, nil
	})
	if err != nil {
		return err
	}
	own.FourBit = fourBit(m, func(name string) (string, bool) { return storedName(w, c, name) }, w)
	var unread []string
	for _, name := range names {
		if !read[name] && belongsToEncoder(c, name) {
			unread = append(unread, name)
		}
	}
	if unread != nil {
		return fmt.Errorf("model: load %s: the weights have tensors of the encoder that a %s encoder of this config.json "+
			"does not use: %s; use the config.json of these weights", config, c.Type, place.List(unread))
	}
	return nil
}

// isHead reports whether a parameter belongs to the classification head.
func isHead(c Config, name string) bool { return !strings.HasPrefix(name, c.family().prefix+".") }

var layerNumber = regexp.MustCompile(`^(\d+)\.`)

// storedLayers returns the number of encoder layers that have tensors in names.
func storedLayers(c Config, names []string) (layers int) {
	f := c.family()
	for _, name := range names {
		rest, ok := strings.CutPrefix(strings.TrimPrefix(name, f.prefix+"."), f.stack+".layer.")
		if m := layerNumber.FindStringSubmatch(rest); ok && m != nil {
			// A number that does not fit an int is not a layer of c in any case.
			l, _ := strconv.Atoi(m[1])
			layers = max(layers, l+1)
		}
	}
	return layers
}

// belongsToEncoder reports whether an encoder uses a tensor of the weights. It does not
// use a pooler unless it is BERT's, or the constants that old releases of transformers saved.
func belongsToEncoder(c Config, name string) bool {
	bare := strings.TrimPrefix(name, c.family().prefix+".")
	switch bare {
	case "embeddings.position_ids", "embeddings.token_type_ids":
		return false
	}
	return strings.HasPrefix(bare, "embeddings.") || strings.HasPrefix(bare, c.family().stack+".")
}

// headOrigin decides whether the head in w can be used.
func headOrigin(w *bitsandbytes.Model, c Config, head Head) HeadOrigin {
	stored := map[string][]int{}
	for _, name := range w.Names() {
		if strings.HasPrefix(name, "classifier.") || strings.HasPrefix(name, "pre_classifier.") {
			_, stored[name], _ = w.Info(name)
		}
	}
	f := c.family()
	want := map[string][]int{f.out + ".weight": {head.Outputs, c.Width}, f.out + ".bias": {head.Outputs}}
	if f.dense != "" {
		want[f.dense+".weight"], want[f.dense+".bias"] = []int{c.Width, c.Width}, []int{c.Width}
	}
	switch {
	case len(stored) == 0:
		return HeadMissing
	case head.Rows == nil || !maps.EqualFunc(stored, want, slices.Equal):
		return HeadUnrelated
	}
	return HeadTaken
}

// storedName returns the name under which the weights have a parameter.
// Published checkpoints have names with or without the encoder's prefix, and
// the first BERT releases have gamma and beta for the weight and bias of a
// LayerNorm.
func storedName(w *bitsandbytes.Model, c Config, name string) (string, bool) {
	old := name
	if base, ok := strings.CutSuffix(name, "LayerNorm.weight"); ok {
		old = base + "LayerNorm.gamma"
	} else if base, ok := strings.CutSuffix(name, "LayerNorm.bias"); ok {
		old = base + "LayerNorm.beta"
	}
	for _, n := range []string{name, old} {
		for _, stored := range []string{n, strings.TrimPrefix(n, c.family().prefix+".")} {
			if _, _, ok := w.Info(stored); ok {
				return stored, true
			}
		}
	}
	return "", false
}
