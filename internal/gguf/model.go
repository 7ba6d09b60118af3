package gguf

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// These are the files of an export.
const (
	ModelFile   = "model.gguf"
	AdapterFile = "adapter.gguf"
)

// architectures has the value of general.architecture for each type of decoder.
var architectures = map[string]string{"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}

// fileTypes has the values of general.file_type, llama_ftype in llama.h.
var fileTypes = map[checkpoint.DType]uint32{checkpoint.F32: 0, checkpoint.F16: 1, checkpoint.BF16: 32}

// Header returns a file with the metadata of a decoder and its tokenizer, and without tensors. Matrices will have type
// d. It returns an error that says what llama.cpp does not have of the model or of the tokenizer.
func Header(c *model.DecoderConfig, t *tokenizer.Tokenizer, name string, d checkpoint.DType) (*File, error) {
	f, arch := &File{}, architectures[c.Type]
	f.set("general.architecture", arch)
	f.set("general.type", "model")
	f.set("general.name", name)
	f.set("general.file_type", fileTypes[d])
	f.set("general.quantization_version", uint32(2))
	for _, n := range []struct {
		key   string
		value int
	}{
		{"vocab_size", c.Vocab}, {"context_length", c.MaxTokens()}, {"embedding_length", c.Width},
		{"block_count", c.Layers}, {"feed_forward_length", c.FF}, {"attention.head_count", c.Heads},
		{"attention.head_count_kv", c.KVHeads}, {"attention.key_length", c.HeadDim},
		{"attention.value_length", c.HeadDim}, {"rope.dimension_count", c.HeadDim},
	} {
		f.set(arch+"."+n.key, uint32(n.value))
	}
	f.set(arch+".attention.layer_norm_rms_epsilon", c.Eps)
	if err := f.setRotation(arch, c.Rotation()); err != nil {
		return nil, err
	}
	if arch != "llama" && (c.MLPBias || arch == "qwen3" && c.AttentionBias) {
		return nil, fmt.Errorf("gguf: the linear layers of the model have biases, and those of llama.cpp's %s have none; "+
			"export it with --format merged", arch)
	}
	if arch == "qwen2" && c.Heads*c.HeadDim != c.Width {
		return nil, fmt.Errorf("gguf: the model has %d heads of width %d, and llama.cpp's qwen2 has only heads that are "+
			"together as wide as the model, which is %d", c.Heads, c.HeadDim, c.Width)
	}
	return f, f.setTokenizer(t, c.Vocab)
}

// setRotation adds the metadata of the rotation of queries and keys.
func (f *File) setRotation(arch string, r model.Rotation) error {
	f.set(arch+".rope.freq_base", float32(r.Theta))
	scaling := arch + ".rope.scaling."
	switch r.Type {
	case "linear", "yarn":
		f.set(scaling+"type", r.Type)
		f.set(scaling+"factor", float32(r.Factor))
	case "llama3":
		n := len(r.Dividers)
		f.tensors = append(f.tensors, tensor{"rope_freqs.weight", []int{n}, checkpoint.F32,
			func() []float32 { return r.Dividers }})
	}
	if r.Type != "yarn" {
		return nil
	}
	if !r.Plain {
		return fmt.Errorf("gguf: the yarn rotation of the model has an attention_factor, mscale or truncate that " +
			"GGUF cannot express for every release of llama.cpp")
	}
	f.set(scaling+"original_context_length", uint32(r.Original))
	f.set(scaling+"yarn_beta_fast", float32(r.BetaFast))
	f.set(scaling+"yarn_beta_slow", float32(r.BetaSlow))
	return nil
}

// AddModel adds the tensors of a decoder. Vectors stay in float32, as llama.cpp wants them.
func (f *File) AddModel(dev compute.Device, m *model.Decoder, d checkpoint.DType) {
	for _, p := range m.Base() {
		name, heads := rename(&m.DecoderConfig, p.Name)
		kind := d
		if len(p.Value.Shape) == 1 {
			kind = checkpoint.F32
		}
		f.tensors = append(f.tensors, tensor{name, p.Value.Shape, kind, func() []float32 {
			return interleaved(p.Values(dev), p.Value.Shape[0], heads)
		}})
	}
}

// Adapter returns a file with low-rank updates of a decoder's linear layers, which have one rank and one scale.
func Adapter(c *model.DecoderConfig, list []adapter.Update, name string) *File {
	f := &File{}
	f.set("general.architecture", architectures[c.Type])
	f.set("general.type", "adapter")
	f.set("general.name", name)
	f.set("general.file_type", fileTypes[checkpoint.F32])
	f.set("adapter.type", "lora")
	f.set("adapter.lora.alpha", list[0].Scale*float32(list[0].Rank))
	for _, u := range list {
		at, heads := rename(c, u.Site.Path+".weight")
		f.tensors = append(f.tensors,
			tensor{at + ".lora_a", []int{u.Rank, u.In}, checkpoint.F32, func() []float32 { return u.A }},
			tensor{at + ".lora_b", []int{u.Out, u.Rank}, checkpoint.F32, func() []float32 {
				return interleaved(u.B, u.Out, heads)
			}})
	}
	return f
}
