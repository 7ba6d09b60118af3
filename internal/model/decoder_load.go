package model

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/place"
)

// NewDecoder allocates the network of c, for sequences of at most the given number of tokens, and fills it from src.
// trains and c.FourBit are as for [New].
func NewDecoder(
	dev compute.Device, c DecoderConfig, tokens int, trains func(name string) bool, src Source,
) (*Decoder, error) {
	b := builder{dev: dev, src: src, trains: trains, stored: c.Stored, fourBit: c.FourBit}
	m := &Decoder{DecoderConfig: c, tokens: tokens}
	m.words = b.matrix("model.embed_tokens.weight", c.Vocab, c.Width)
	for l := 0; l < c.Layers && b.err == nil; l++ {
		m.addLayer(&b, l)
	}
	m.norm = b.param("model.norm.weight", c.Width)
	m.vocabulary = m.words
	if !c.Tied {
		m.vocabulary = b.matrix("lm_head.weight", c.Vocab, c.Width)
	}
	m.base = b.params
	if b.err != nil {
		return nil, b.err
	}
	m.angles = c.rope.upload(dev, tokens, c.HeadDim, c.Positions)
	return m, nil
}

// addLayer adds the parameters and the sites of layer l.
func (m *Decoder) addLayer(b *builder, l int) {
	c, f := m.DecoderConfig, m.family()
	layer := m.LayerPath(l) + "."
	k := decoderBlock{norm1: b.param(layer+"input_layernorm.weight", c.Width)}
	queries, keys := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	sizes := [...][2]int{
		siteQ: {queries, c.Width}, siteK: {keys, c.Width}, siteV: {keys, c.Width}, siteO: {c.Width, queries},
		siteGate: {c.FF, c.Width}, siteUp: {c.FF, c.Width}, siteDown: {c.Width, c.FF},
	}
	for i, name := range DecoderSiteNames {
		bias := c.AttentionBias
		switch {
		case i >= siteGate:
			bias = c.MLPBias
		case f.qkvBias:
			bias = i != siteO
		}
		w := Linear{W: b.matrix(layer+name+".weight", sizes[i][0], sizes[i][1])}
		if bias {
			w.B = b.param(layer+name+".bias", sizes[i][0])
		}
		k.linear = append(k.linear, w)
		m.sites = append(m.sites, Site{Layer: l, Index: i, Name: name, Path: m.LayerPath(l) + "." + name})
		if i == siteV && f.headNorm {
			k.queryNorm = b.param(layer+"self_attn.q_norm.weight", c.HeadDim)
			k.keyNorm = b.param(layer+"self_attn.k_norm.weight", c.HeadDim)
		}
	}
	k.norm2 = b.param(layer+"post_attention_layernorm.weight", c.Width)
	m.blocks = append(m.blocks, k)
}

// LoadDecoder reads a Hugging Face model directory of a decoder for sequences of at most the given number of tokens.
// It returns an error if a value is not finite, or if the tensors are not those of config.json. trains is as for [New].
func LoadDecoder(dev compute.Device, dir string, tokens int, trains func(name string) bool) (*Decoder, error) {
	c, err := ReadDecoderConfig(dir)
	if err != nil {
		return nil, err
	}
	if tokens < 1 || tokens > c.MaxTokens() {
		return nil, place.Mistake(fmt.Errorf("model: load %s: sequences of %d tokens are wanted; the model has 1 to %d",
			dir, tokens, c.MaxTokens()))
	}
	w, err := bitsandbytes.Open(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := checkDecoder(w, dir, &c); err != nil {
		return nil, err
	}
	var buf []float32
	halves := false
	m, err := NewDecoder(dev, c, tokens, trains, func(name string, shape compute.Shape) ([]float32, bool, error) {
		defer w.Drop(name)
		buf = slices.Grow(buf[:0], shape.Len())[:shape.Len()]
		kind, _, _ := w.Info(name)
		halves = halves || kind == checkpoint.F16
		return buf, true, w.ReadFinite(buf, name)
	})
	if err != nil {
		return nil, err
	}
	if err := uploadFourBit(dev, m, sameName, w); err != nil {
		return nil, err
	}
	m.notes = append(m.notes, fourBitNote(c.FourBit)...)
	if halves && compute.Narrow(dev) {
		m.notes = append(m.notes, "the weights are float16 and are rounded to bfloat16, which loses 3 bits of each")
	}
	return m, nil
}

// CheckDecoderWeights returns an error if the sizes in c, which was read from dir, are not those of the tensors in the
// header of dir's weights. It does not read the tensors. It sets c.Stored and c.FourBit.
func CheckDecoderWeights(dir string, c *DecoderConfig) error {
	w, err := bitsandbytes.Open(dir)
	if err != nil {
		return err
	}
	defer w.Close()
	return checkDecoder(w, dir, c)
}

// sameName returns its argument: the file of a decoder has the names of the network.
func sameName(name string) (string, bool) { return name, true }

// rotaryBuffer matches the frequencies that old releases of transformers saved.
var rotaryBuffer = regexp.MustCompile(`^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$`)

func checkDecoder(w *bitsandbytes.Model, dir string, own *DecoderConfig) error {
	c := *own
	c.FourBit = nil
	config := filepath.Join(dir, configFile)
	read := map[string]bool{}
	m, err := NewDecoder(nulldev.Open(4), c, 1, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
		_, got, found := w.Info(name)
		if !found {
			return nil, false, fmt.Errorf("model: load %s: there is no tensor %s; use the weights of this config.json (%s)",
				dir, name, c.Type)
		}
		read[name] = true
		if !slices.Equal(got, shape) {
			return nil, false, fmt.Errorf("model: load %s: %s is %v; %s has %v", w.Home(name), name, got, config, []int(shape))
		}
		return nil, true, nil
	})
	if err != nil {
		return err
	}
	own.Stored, own.FourBit = storedAs(w), fourBit(m, sameName, w)
	var unread []string
	for _, name := range w.Names() {
		if !read[name] && !rotaryBuffer.MatchString(name) && !(c.Tied && strings.HasPrefix(name, "lm_head.")) {
			unread = append(unread, name)
		}
	}
	if unread != nil {
		return fmt.Errorf("model: load %s: the weights have tensors that a %s decoder of this config.json does not use: %s; "+
			"use the config.json of these weights", config, c.Type, place.List(unread))
	}
	return nil
}
