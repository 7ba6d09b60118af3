package train

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/place"
)

// Identify returns the identity of a training run of the session: its data, base
// model, tokenizer and settings. It reads the train and the dev split.
func (s *Session) Identify(ctx context.Context) (identity.Manifest, error) {
	splits := map[string]*dataset.Split{}
	for _, name := range []string{"train", "dev"} {
		split, err := s.source.split(ctx, name)
		if err != nil {
			return identity.Manifest{}, loading(err)
		}
		splits[name] = split
	}
	return s.identify(splits)
}

// identify is Identify for splits that have been read. Settings that the run
// file leaves out have the values that the session chose for them.
func (s *Session) identify(splits map[string]*dataset.Split) (m identity.Manifest, err error) {
	m = identity.Manifest{Labels: append([]string{}, s.Set.Task.Labels...), Data: map[string]identity.Split{}}
	if m.Base, err = s.identifyBase(); err != nil {
		return m, err
	}
	if m.Settings, err = s.settings(); err != nil {
		return m, err
	}
	for name, split := range splits {
		m.Data[name] = identity.Split{Examples: len(split.Examples), SHA256: s.Set.Task.Digest(split)}
	}
	return m, nil
}

// With returns the identity m with the settings of c, another configuration with the
// same data and base model as the session.
func (s *Session) With(c *config.Config, m identity.Manifest) (identity.Manifest, error) {
	other := *s
	other.Config = c
	var err error
	m.Settings, err = other.settings()
	return m, err
}

// CheckRun returns an error if a run directory has a run with another identity
// than now, which is that of c. It compares the whole identity of a finished
// run, and the settings of an unfinished one. The error lists the differences
// and wraps ErrOtherRun or adapter.ErrMismatch. Epochs that c adds to the run
// are not a difference.
func CheckRun(dir string, c *config.Config, now identity.Manifest) error {
	was, err := identity.Read(filepath.Join(dir, finalDir))
	if err != nil {
		return err
	}
	if was == nil {
		old, err := config.Load(filepath.Join(dir, ConfigFile), nil, nil)
		if err != nil {
			return err
		}
		was = &identity.Manifest{Settings: written(old)}
	}
	if lengthened(was.Settings, c) {
		was.Settings[extendKey] = now.Settings[extendKey]
	}
	return refuse(fmt.Sprintf("train: open %s: it has a run with other inputs; "+
		"choose another directory, or restore the inputs of that run:", dir), identity.Compare(*was, now))
}

// written returns the settings of the run file in a run directory, without those that
// a run file may leave to the data.
func written(c *config.Config) map[string]string {
	settings := c.Settings()
	for _, key := range []string{"data.task", "data.metric", "data.max_length"} {
		delete(settings, key)
	}
	return settings
}

// identifyBase returns the identity of the session's base model and tokenizer.
func (s *Session) identifyBase() (identity.Base, error) {
	weights, err := adapter.Fingerprint(s.Dir)
	base := s.identifyFiles()
	base.Weights = weights
	return base, err
}

// identifyFiles is identifyBase without the weights, which takes no time.
func (s *Session) identifyFiles() identity.Base {
	tokens := s.Tokenizer.Hash()
	return identity.Base{Tokenizer: hex.EncodeToString(tokens[:]), Config: s.Model.identity()}
}

// settings returns the settings of the configuration. Keys that the run file leaves
// to the data have the values that the data decides. init_adapter is the checksum of
// the adapter's tensors instead of its path.
func (s *Session) settings() (map[string]string, error) {
	c := s.Resolve(s.Config)
	c.Data.Task = s.Set.Task.Name
	settings := c.Settings()
	settings["init_adapter"] = "none"
	if c.InitAdapter == "" {
		return settings, nil
	}
	saved, err := adapter.Open(c.InitAdapter)
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	sum, err := saved.SHA256()
	settings["init_adapter"] = "tensors with the " + short(sum)
	return settings, err
}

// Resolve returns a copy of c in which the keys that c leaves out have the
// values that data and model determine. Data and model of c must be those of
// the session.
func (s *Session) Resolve(c *config.Config) *config.Config {
	resolved := *c
	d := &resolved.Data
	if d.MaxLength == 0 {
		d.MaxLength = s.MaxLength
	}
	d.Metric = cmp.Or(d.Metric, s.Set.Task.Select)
	// A GLUE task determines its kind, and a run file must not set it.
	switch {
	case s.Set.Format != "custom":
	case d.Kind == dataset.MultiLabel:
		d.Threshold = s.Set.Task.Threshold
	case d.Kind != "":
	case s.Set.Task.Labels == nil:
		d.Kind = dataset.Regression
	default:
		d.Kind = dataset.Classification
	}
	if s.Set.Format == "custom" && len(d.Labels) == 0 {
		d.Labels = s.Set.Task.Labels
	}
	return &resolved
}

// recorded returns the identity that a checkpoint or adapter directory records. A
// directory that an older lor2c wrote has none; then recorded returns what it finds
// in the adapter's description and in the run file of the parent directory.
func recorded(dir string, saved *adapter.Saved) (identity.Manifest, error) {
	if saved.Identity != nil {
		return *saved.Identity, nil
	}
	m := identity.Manifest{
		Base: identity.Base{Weights: saved.Base.SHA256}, Labels: append([]string{}, saved.Task.Labels...),
	}
	c, err := config.Load(filepath.Join(filepath.Dir(filepath.Clean(dir)), ConfigFile), nil, nil)
	if errors.Is(err, fs.ErrNotExist) {
		c := config.Default()
		c.Method = saved.Method
		m.Settings = map[string]string{}
		for key, value := range c.Settings() {
			if strings.HasPrefix(key, "method.") {
				m.Settings[key] = value
			}
		}
		return m, nil
	}
	if err != nil {
		return m, err
	}
	m.Settings = written(c)
	return m, nil
}

// sameBase returns an error if an adapter was trained on another base model than the
// session's. The probabilities of dropout may differ, because an evaluation has no
// dropout.
func (s *Session) sameBase(dir string, saved *adapter.Saved) error {
	now, err := s.identifyBase()
	if err != nil {
		return err
	}
	return s.checkBase(dir, saved, now)
}

// checkBase is sameBase for a session whose base model was identified.
func (s *Session) checkBase(dir string, saved *adapter.Saved, now identity.Base) error {
	if saved.Identity == nil {
		return saved.CheckBase(adapter.Base{Path: s.Dir, SHA256: now.Weights})
	}
	return s.compareBase(dir, outcome(saved.Identity.Base), now)
}

// compareBase returns an error that lists how the base model of an adapter differs from the session's.
func (s *Session) compareBase(dir string, was identity.Manifest, now identity.Base) error {
	headline := fmt.Sprintf("train: evaluate %s: it was trained on another base model than %s; "+
		"use the base model of the adapter:", dir, s.Config.Model)
	return refuse(headline, identity.Compare(was, identity.Manifest{Base: now}))
}

// likeBase does what sameBase does without reading the weights, so that most adapters of another base model are refused
// at once.
func (s *Session) likeBase(dir string, saved *adapter.Saved) error {
	if saved.Identity != nil {
		was := outcome(saved.Identity.Base)
		was.Base.Weights = ""
		return s.compareBase(dir, was, s.identifyFiles())
	}
	base, now := saved.Base, s.Model.encoder
	if base.Type == "" || base.Type == now.Type && base.Width == now.Width && base.Layers == now.Layers {
		return nil
	}
	return fmt.Errorf("train: evaluate %s: it was trained on a %s of %s and width %d, and %s is a %s of %s "+
		"and width %d; use the base model of the adapter: %w", dir, base.Type,
		place.Count(base.Layers, "layer", "layers"), base.Width, s.Config.Model, now.Type,
		place.Count(now.Layers, "layer", "layers"), now.Width, adapter.ErrMismatch)
}

// unchecked returns lines about what an evaluation could not check in a directory that
// an older lor2c or lor2c_peft wrote. It returns none for a directory that PEFT wrote, which never
// records any of it.
func unchecked(dir string, saved *adapter.Saved) (lines []string) {
	if saved.Task.Name == "" {
		return nil
	}
	if saved.Identity == nil {
		lines = append(lines, dir+" was written by an older lor2c or by lor2c_peft: "+
			"whether tokenizer and config.json are those it was trained with could not be checked")
	}
	if !saved.Sealed {
		lines = append(lines, dir+" has no checksums: whether its files are as they were written could not be checked")
	}
	return lines
}

// outcome returns the identity of a base model without the settings of dropout, which
// do not change the outputs of an evaluation.
func outcome(b identity.Base) identity.Manifest {
	b.Config = maps.Clone(b.Config)
	maps.DeleteFunc(b.Config, func(key, _ string) bool { return strings.Contains(key, "dropout") || key == "id2label" })
	return identity.Manifest{Base: b}
}

// refuse returns an error that lists differences under a headline, one per line, or
// nil if there are none. The error wraps adapter.ErrMismatch if only the base model
// differs, else ErrOtherRun.
func refuse(headline string, differences []identity.Difference) error {
	if differences == nil {
		return nil
	}
	kind := adapter.ErrMismatch
	for _, d := range differences {
		if !d.Base {
			kind = ErrOtherRun
		}
	}
	return &refusal{identity.List(headline, "run", differences), kind}
}
