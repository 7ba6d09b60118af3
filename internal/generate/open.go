package generate

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Source names what continues texts: a model, which may be left out for an adapter that names its base, and an adapter,
// which may be left out. An adapter that was trained on a base in four bits gets its base in four bits.
type Source struct{ Model, Adapter string }

// Texts is a model with its tokenizer, before it is on a device.
type Texts struct {
	Tokenizer *tokenizer.Tokenizer
	Sampling  Sampling // what the model recommends
	EOS       []int32
	MaxTokens int    // of prompt and continuation
	Limit     string // MaxTokens in words
	dir       string
	saved     *adapter.Saved
	four      bool           // the linear layers of the model are stored in four bits
	sum       string         // of the weights, once they were read for it
	template  string         // how Prompt makes a text of a conversation
	chat      *chat.Template // that of the model, if template says so
}

// Open opens the files that s names. Close closes them.
func Open(s Source) (*Texts, error) {
	t := &Texts{}
	if s.Adapter != "" {
		saved, err := adapter.Open(s.Adapter)
		if err != nil {
			return nil, err
		}
		t.saved, t.four = saved, saved.NF4()
		if s.Model == "" {
			if s.Model, err = saved.FindBase(); err != nil {
				t.Close()
				return nil, err
			}
		}
	}
	if err := t.open(s.Model); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Texts) open(name string) (err error) {
	if t.dir, err = model.Find(name); err != nil {
		return err
	}
	c, err := model.ReadDecoderConfig(t.dir)
	if err != nil {
		return place.Given(err)
	}
	t.MaxTokens, t.Limit = c.MaxTokens(), c.Limit()
	if t.saved != nil {
		if rows := t.saved.Method.Lead(); rows > 0 {
			t.MaxTokens = max(0, t.MaxTokens-rows)
			t.Limit += fmt.Sprintf(", of which the adapter takes %d", rows)
		}
	}
	if t.Tokenizer, err = tokenizer.LoadFor(t.dir, c.Vocab); err != nil {
		return err
	}
	if !t.Tokenizer.Streams() {
		return place.Mistake(fmt.Errorf("generate: open %s: its tokenizer is WordPiece; want that of a decoder, which is BPE",
			t.dir))
	}
	t.Sampling = Greedy()
	if err := t.readGeneration("generation_config.json", true); err != nil {
		return err
	}
	if t.EOS == nil {
		if err := t.readGeneration("config.json", false); err != nil {
			return err
		}
	}
	if id := t.Tokenizer.EOS(); t.EOS == nil && id >= 0 {
		t.EOS = []int32{id}
	}
	return nil
}

// readGeneration reads the tokens that end a text, and the recommended sampling if it is wanted, from a file of the
// model, if there is one.
func (t *Texts) readGeneration(name string, sampling bool) error {
	path := filepath.Join(t.dir, name)
	raw, err := infile.ReadIn(t.dir, name, infile.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("generate: open %s: %w", path, err)
	}
	var eos struct {
		ID json.RawMessage `json:"eos_token_id"`
	}
	into := []any{&eos}
	if sampling {
		into = append(into, &t.Sampling)
	}
	for _, v := range into {
		if err := strictjson.Unmarshal(raw, v); err != nil {
			return place.Mistake(fmt.Errorf("generate: read %s:%w; want the JSON that transformers writes", path, err))
		}
	}
	if faults := t.Sampling.Validate(); faults != nil {
		return place.Mistake(fmt.Errorf("generate: read %s: %w", path, errors.Join(faults...)))
	}
	var one int32
	switch {
	case eos.ID == nil || string(eos.ID) == "null":
	case json.Unmarshal(eos.ID, &one) == nil:
		t.EOS = []int32{one}
	default:
		if err := json.Unmarshal(eos.ID, &t.EOS); err != nil {
			return place.Mistake(fmt.Errorf("generate: read %s: eos_token_id is %s; want a number or a list of numbers", path,
				place.Quote(string(eos.ID))))
		}
	}
	return nil
}

// TrainedTemplate returns the template of the prompts that an adapter was trained with, or "" if it does not say so or
// cannot be opened.
func TrainedTemplate(dir string) string {
	saved, err := adapter.Open(dir)
	if err != nil {
		return ""
	}
	defer saved.Close()
	return saved.Task.Template
}

// Dir returns the directory of the model.
func (t *Texts) Dir() string { return t.dir }

// Identity returns what decides the texts besides the device: the checksums of weights, adapter and tokenizer.
func (t *Texts) Identity() (map[string]string, error) {
	sum, err := t.fingerprint()
	if err != nil {
		return nil, err
	}
	words := t.Tokenizer.Hash()
	id := map[string]string{
		"model": t.dir, "weights": sum, "tokenizer": hex.EncodeToString(words[:]), "quantize": "none", "adapter": "none",
	}
	if t.four {
		id["quantize"] = "nf4"
	}
	if t.saved != nil {
		id["method"] = t.saved.Method.Name()
		if id["adapter"], err = t.saved.SHA256(); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// fingerprint returns the checksum of the weights, which are read for it once.
func (t *Texts) fingerprint() (sum string, err error) {
	if t.sum == "" {
		t.sum, err = adapter.Fingerprint(t.dir)
	}
	return t.sum, place.Given(err)
}

// method returns the method of the adapter, or without one a method that changes nothing.
func (t *Texts) method() adapter.Config {
	if t.saved == nil {
		return adapter.NewConfig("head")
	}
	return t.saved.Method
}

// Close closes the files.
func (t *Texts) Close() {
	if t.saved != nil {
		t.saved.Close()
	}
}

// Load puts the model and the adapter on a device, for texts of at most the given number of tokens.
func (t *Texts) Load(dev compute.Device, tokens int, seed uint64) (*Generator, error) {
	if t.saved != nil {
		sum, err := t.fingerprint()
		if err != nil {
			return nil, err
		}
		if err := t.saved.CheckBase(adapter.Base{Path: t.dir, SHA256: sum}); err != nil {
			return nil, err
		}
	}
	m, err := model.LoadDecoder(dev, t.dir, tokens, t.method().Trains())
	if err != nil {
		return nil, place.Given(err)
	}
	g, err := t.attach(dev, m, seed, model.Quantize)
	if err != nil {
		return nil, err
	}
	if t.saved != nil {
		if err := t.saved.Restore(dev, g.Method, nil); err != nil {
			return nil, err
		}
	}
	return g, dev.Err()
}

// attach puts the method of the adapter on a decoder, whose weights quantize stores in four bits if the adapter was
// trained on such.
func (t *Texts) attach(
	dev compute.Device, m *model.Decoder, seed uint64, quantize func(compute.Device, model.Network),
) (*Generator, error) {
	if t.four {
		quantize(dev, m)
	}
	method, err := t.attachMethod(dev, m, seed)
	return &Generator{Dev: dev, Model: m, Method: method, EOS: t.EOS, Seed: seed, Sampling: t.Sampling}, err
}

// attachMethod creates the method of the adapter, without its values.
func (t *Texts) attachMethod(dev compute.Device, m *model.Decoder, seed uint64) (adapter.Method, error) {
	if t.saved != nil {
		return t.saved.Attach(dev, m, seed)
	}
	return adapter.Attach(dev, m, adapter.Settings{Config: t.method(), Seed: seed})
}

// Attach reads the adapter to a device, for a network of its base model that is there.
func (t *Texts) Attach(dev compute.Device, m *model.Decoder, seed uint64) (adapter.Method, error) {
	method, err := t.attachMethod(dev, m, seed)
	if err == nil && t.saved != nil {
		err = t.saved.Restore(dev, method, nil)
	}
	return method, err
}
