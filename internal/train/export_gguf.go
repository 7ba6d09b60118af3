package train

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/gguf"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// These are the ends of the model cards of GGUF files.
const (
	loadGGUF = "`llama-cli -m model.gguf` and every other program that uses llama.cpp loads it; the tokenizer and the " +
		"chat template are in the file."
	loadGGUFLoRA = "`llama-cli -m BASE.gguf --lora adapter.gguf` loads it beside the base model in GGUF."
)

// headerGGUF returns the GGUF file of a merged decoder without its tensors, or nil for another format. It returns an
// error if llama.cpp cannot compute the model or its tokens.
func (s *Session) headerGGUF(dir, base, format string, precision checkpoint.DType) (*gguf.File, error) {
	if format != adapter.FormatGGUF {
		return nil, nil
	}
	f, err := gguf.Header(s.Model.decoder, s.Tokenizer, filepath.Base(base), precision)
	if err != nil {
		return nil, place.Mistake(fmt.Errorf("train: export %s as %s: %w", dir, format, err))
	}
	return f, nil
}

// writeGGUF writes the merged model of to into tmp.
func writeGGUF(tmp string, file *gguf.File, to *Stepper, d adapter.Description) error {
	if err := adapter.SaveCard(tmp, d, false, "gguf", loadGGUF); err != nil {
		return err
	}
	file.AddModel(to.Dev, to.Model.(*model.Decoder), d.DType)
	return errors.Join(file.Save(filepath.Join(tmp, gguf.ModelFile)), to.Dev.Err())
}

// writeGGUFLoRA writes the LoRA of to into tmp.
func writeGGUFLoRA(tmp string, to *Stepper, d adapter.Description) error {
	if err := adapter.SaveCard(tmp, d, false, "gguf", loadGGUFLoRA); err != nil {
		return err
	}
	list, err := to.Method.(adapter.Folder).Fold(to.Dev)
	if err != nil {
		return err
	}
	file := gguf.Adapter(&to.Model.(*model.Decoder).DecoderConfig, list, filepath.Base(d.Base.Path))
	return errors.Join(file.Save(filepath.Join(tmp, gguf.AdapterFile)), to.Dev.Err())
}
