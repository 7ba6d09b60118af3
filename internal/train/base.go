package train

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
)

// baseModel is what a session knows of the base model from its config.json. One of
// encoder and decoder is set.
type baseModel struct {
	encoder *model.Config
	decoder *model.DecoderConfig

	kind         string // model_type
	Layers       int
	vocab, types int
	tokens       int // of the longest sequence
}

// readModel reads config.json of an encoder, or of a decoder for the task instruct.
func (s *Session) readModel() (b baseModel, err error) {
	if !s.Config.Data.IsInstruct() {
		c, err := model.ReadConfig(s.Dir)
		c.Tokens = s.Set.Task.Kind == dataset.Tokens
		return baseModel{encoder: &c, kind: c.Type, Layers: c.Layers, vocab: c.Vocab, types: c.Types,
			tokens: c.MaxTokens()}, err
	}
	c, err := model.ReadDecoderConfig(s.Dir)
	b = baseModel{decoder: &c, kind: c.Type, Layers: c.Layers, vocab: c.Vocab, tokens: c.MaxTokens()}
	if rows := s.Config.Method.Lead(); err == nil && rows > 0 {
		if b.tokens -= rows; b.tokens < 1 {
			return b, fmt.Errorf("train: open %s: method.num_virtual_tokens is %d, and %s; want less", s.Dir, rows, c.Limit())
		}
	}
	return b, err
}

// identity returns the fields of config.json that decide what the model computes.
func (b baseModel) identity() map[string]string {
	if b.decoder != nil {
		return b.decoder.Identity()
	}
	return b.encoder.Identity()
}

// checkWeights returns an error if the sizes in config.json are not those of the weights, or if the method changes
// weights that the file has in four bits.
func (s *Session) checkWeights() error {
	four := 0
	if c := s.Model.decoder; c != nil {
		if err := model.CheckDecoderWeights(s.Dir, c); err != nil {
			return err
		}
		four = len(c.FourBit)
	} else {
		if err := model.CheckWeights(s.Dir, s.Model.encoder); err != nil {
			return err
		}
		four = len(s.Model.encoder.FourBit)
	}
	if m := s.Config.Method; four > 0 && m.ChangesWeights() {
		return fmt.Errorf("train: open %s: %d of its weights are in four bits, and method %s changes them; want a model "+
			"that is not quantised, or a method that freezes them", s.Dir, four, m.Name())
	}
	return nil
}

// newModel allocates the base model on a device that only counts memory.
func (s *Session) newModel(null compute.Device) (model.Network, error) {
	trains := s.Config.Method.Trains()
	if c := s.Model.decoder; c != nil {
		return model.NewDecoder(null, *c, s.MaxLength, trains, model.NoValues)
	}
	return model.New(null, *s.Model.encoder, s.Set.Task.Outputs(), s.Config.Seed, trains, model.NoValues)
}

// loadModel reads the base model.
func (s *Session) loadModel(dev compute.Device, method adapter.Config) (model.Network, error) {
	if s.Model.decoder != nil {
		return model.LoadDecoder(dev, s.Dir, s.MaxLength, method.Trains())
	}
	return model.Load(dev, s.Dir, model.HeadFor(*s.Model.encoder, s.Set.Task.Labels), s.Config.Seed, method.Trains())
}
