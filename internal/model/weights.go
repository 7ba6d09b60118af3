package model

import (
	"fmt"
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
		return fmt.Errorf("model: load %s: num_hidden_layers is %d, but the weights have %d layers; use the config.json "+
			"of these weights",
			config, c.Layers, layers)
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

// fourBit returns the names of the weights of n's linear layers that w has in four bits, under the names of stored.
func fourBit(n Network, stored func(name string) (string, bool), w *bitsandbytes.Model) map[string]bool {
	found := map[string]bool{}
	for _, s := range n.Sites() {
		name := n.Linear(s).W.Name
		if file, ok := stored(name); ok {
			if kind, _, _ := w.Info(file); kind == bitsandbytes.NF4 {
				found[name] = true
			}
		}
	}
	return found
}

// fourBitNote returns a line that says how many weights the file has in four bits, or nil if it has none.
func fourBitNote(names map[string]bool) []string {
	if len(names) == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("the model has %d weights of linear layers in four bits (nf4), which are used as they are", len(names)),
	}
}

// uploadFourBit gives the weights of n that New has allocated in four bits the codes of w, under the names of stored.
func uploadFourBit(
	dev compute.Device, n Network, stored func(name string) (string, bool), w *bitsandbytes.Model,
) error {
	for _, s := range n.Sites() {
		p := n.Linear(s).W
		if p.Value.DType != compute.NF4 {
			continue
		}
		file, _ := stored(p.Name)
		q, err := w.Matrix(file)
		if err != nil {
			return err
		}
		dev.UploadNF4(p.Value, q.Codes, q.Expanded())
		w.Drop(file)
	}
	return nil
}

// isHead reports whether a parameter belongs to the classification head.
func isHead(c Config, name string) bool { return !strings.HasPrefix(name, c.Type+".") }

var layerName = regexp.MustCompile(`^encoder\.layer\.(\d+)\.`)

// storedLayers returns the number of encoder layers that have tensors in names.
func storedLayers(c Config, names []string) (layers int) {
	for _, name := range names {
		if m := layerName.FindStringSubmatch(strings.TrimPrefix(name, c.Type+".")); m != nil {
			// A number that does not fit an int is not a layer of c in any case.
			l, _ := strconv.Atoi(m[1])
			layers = max(layers, l+1)
		}
	}
	return layers
}

// belongsToEncoder reports whether an encoder uses a tensor of the weights. It does not
// use RoBERTa's pooler, or the constants that old releases of transformers saved.
func belongsToEncoder(c Config, name string) bool {
	bare := strings.TrimPrefix(name, c.Type+".")
	switch bare {
	case "embeddings.position_ids", "embeddings.token_type_ids":
		return false
	}
	return strings.HasPrefix(bare, "embeddings.") || strings.HasPrefix(bare, "encoder.")
}
