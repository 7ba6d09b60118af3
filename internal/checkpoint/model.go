package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// These are the file names that transformers writes.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
	pickleFile = "pytorch_model.bin"
)

// ConvertHint returns a command that converts a pickle to safetensors and keeps
// all names. It clones the tensors, because the format does not allow tensors
// to share storage.
func ConvertHint(pickle, to string) string {
	return fmt.Sprintf(`python3 -c "import torch, safetensors.torch as s; `+
		`s.save_file({k: v.contiguous().clone() for k, v in torch.load('%s', weights_only=True).items()}, '%s', {'format': 'pt'})"`, pickle, to)
}

// Model is the weights of a model folder, in one safetensors file or several.
// Its methods are those of [File].
type Model struct {
	dir    string
	shards []*File
	home   map[string]*File // the shard of each tensor, by the tensor's name
}

// OpenModel opens the weights in dir: model.safetensors, or else the shards
// that model.safetensors.index.json lists. Every shard is validated and every
// listed tensor is looked up before it returns. Other weights in dir are
// ignored. Shards must be named by paths inside dir; links are followed as
// [infile.OpenIn] says. Pickles are never read.
func OpenModel(dir string) (*Model, error) {
	f, err := openIn(dir, singleFile)
	if err == nil {
		m := &Model{dir: dir, shards: []*File{f}, home: map[string]*File{}}
		for name := range f.tensors {
			m.home[name] = f
		}
		return m, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	index := filepath.Join(dir, indexFile)
	// As in transformers, the index is used only if there is no single file.
	weightMap, err := readIndex(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nothingToOpen(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s%w", index, err)
	}
	m := &Model{dir: dir, home: map[string]*File{}}
	if err := m.openShards(index, weightMap); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// openIn opens a weights file of a model folder.
func openIn(dir, name string) (*File, error) {
	path := filepath.Join(dir, name)
	f, err := infile.OpenIn(dir, name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s: %w", path, err)
	}
	return mapped(path, f)
}

// foreignWeights are names of weights in other forms, with what makes a model folder of each.
var foreignWeights = []struct{ pattern, how string }{
	{"*.gguf", "convert it with AutoModelForCausalLM.from_pretrained(DIR, gguf_file=NAME).save_pretrained(NEW) of " +
		"transformers, or use the model's original safetensors"},
	{"*.pth", "convert it with convert_llama_weights_to_hf.py of transformers, or use the model's safetensors"},
}

// Foreign returns how a file of weights in a form that is not read becomes a model folder, or "" if its name is not
// that of one.
func Foreign(path string) string {
	for _, w := range foreignWeights {
		if ok, _ := filepath.Match(w.pattern, filepath.Base(path)); ok {
			return w.how
		}
	}
	return ""
}

// nothingToOpen returns the error for a folder without readable weights.
func nothingToOpen(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("checkpoint: open %s: %w; a model folder is expected", dir, place.WithoutPath(err))
	}
	for _, pickle := range []string{pickleFile, pickleFile + ".index.json"} {
		if _, err := os.Stat(filepath.Join(dir, pickle)); err == nil {
			return fmt.Errorf("checkpoint: open %s: its only weights are a pickle, which is never read; "+
				"convert it there with %s", dir, ConvertHint(pickleFile, singleFile))
		}
	}
	for _, w := range foreignWeights {
		if found, _ := fs.Glob(os.DirFS(dir), w.pattern); len(found) > 0 {
			return fmt.Errorf("checkpoint: open %s: lor2c does not read %s; %s", dir, found[0], w.how)
		}
	}
	return fmt.Errorf("checkpoint: open %s: there is neither %s nor %s; a model folder has one of them", dir, singleFile,
		indexFile)
}

// readIndex returns the weight_map of a model folder's index. Its errors begin
// with a colon and the place of the fault, and are meant to follow the path
// directly.
func readIndex(dir string) (map[string]string, error) {
	text, err := infile.ReadIn(dir, indexFile, infile.Index)
	if err != nil {
		return nil, fmt.Errorf(": %w", err)
	}
	if what := infile.Describe(text[:min(len(text), 64)]); what != "" {
		return nil, fmt.Errorf(": it is not JSON but %s", what)
	}
	var syntax *strictjson.Error
	if errors.As(strictjson.Syntax(text), &syntax) {
		return nil, fmt.Errorf(":%s: it is not JSON: %s; an object with a weight_map is expected", syntax.Position,
			syntax.What)
	}
	var weightMap map[string]string
	d := json.NewDecoder(bytes.NewReader(text))
	err = strictjson.Object(d, "the index", func(key string) (err error) {
		if key == "weight_map" {
			weightMap, err = stringMap(d, key)
			return err
		}
		// The metadata, which contains the total size, is not needed here.
		var ignored json.RawMessage
		return d.Decode(&ignored)
	})
	if err != nil {
		return nil, fmt.Errorf(":%s: %w", place.At(text, int(d.InputOffset())-1), err)
	}
	if len(weightMap) == 0 {
		return nil, errors.New(`: it lists no tensor; {"weight_map": {"<tensor>": "<file>"}} is expected`)
	}
	return weightMap, nil
}

// openShards opens each listed shard once and assigns the tensors to them.
func (m *Model) openShards(index string, weightMap map[string]string) error {
	open := map[string]*File{}
	// The order is sorted, so that the same one of several faults is always
	// reported.
	for _, name := range sortedNames(weightMap) {
		shard := weightMap[name]
		if !filepath.IsLocal(shard) || strings.ContainsRune(shard, 0) {
			return fmt.Errorf("checkpoint: open %s: tensor %s is said to be in %s; a file inside the folder is expected",
				index, place.Quote(name), place.Quote(shard))
		}
		if open[shard] == nil {
			f, err := openIn(m.dir, shard)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("checkpoint: open %s: the shard %s of tensor %s is missing; fetch it into the folder",
					index, place.Quote(shard), place.Quote(name))
			}
			if err != nil {
				return err
			}
			open[shard] = f
			m.shards = append(m.shards, f)
		}
		if _, _, ok := open[shard].Info(name); !ok {
			return fmt.Errorf("checkpoint: open %s: tensor %s is not in its shard %s; index and shards must be from one save",
				index, place.Quote(name), place.Quote(shard))
		}
		m.home[name] = open[shard]
	}
	return nil
}

// Names lists the tensors of all shards in byte order of their names.
func (m *Model) Names() []string { return sortedNames(m.home) }

// Info does what [File.Info] does, for a tensor in any shard.
func (m *Model) Info(name string) (dtype DType, shape []int, ok bool) {
	if f := m.home[name]; f != nil {
		return f.Info(name)
	}
	return "", nil, false
}

// ReadInto does what [File.ReadInto] does, for a tensor in any shard.
func (m *Model) ReadInto(dst []float32, name string) error {
	f, err := m.find(name)
	if err != nil {
		return err
	}
	return f.ReadInto(dst, name)
}

// ReadFinite does what [File.ReadFinite] does, for a tensor in any shard.
func (m *Model) ReadFinite(dst []float32, name string) error {
	f, err := m.find(name)
	if err != nil {
		return err
	}
	return f.ReadFinite(dst, name)
}

// ReadInts does what [File.ReadInts] does, for a tensor in any shard.
func (m *Model) ReadInts(name string) ([]int64, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return f.ReadInts(name)
}

// ReadBytes does what [File.ReadBytes] does, for a tensor in any shard.
func (m *Model) ReadBytes(name string) ([]byte, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return f.ReadBytes(name)
}

// Drop does what [File.Drop] does, for a tensor in any shard.
func (m *Model) Drop(name string) {
	if f := m.home[name]; f != nil {
		f.Drop(name)
	}
}

// Close unmaps all shards and returns the first error.
func (m *Model) Close() error {
	var first error
	for _, f := range m.shards {
		if err := f.Close(); first == nil {
			first = err
		}
	}
	return first
}

// find returns the shard that has the tensor called name.
func (m *Model) find(name string) (*File, error) {
	f := m.home[name]
	if f == nil {
		return nil, fmt.Errorf("checkpoint: read %s: tensor %s is missing; the model has %s", m.dir,
			place.Quote(name), place.Count(len(m.home), "other", "others"))
	}
	return f, nil
}
