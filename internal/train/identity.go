package train

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
)

// Identify says what a training run of the session is made from. It reads the
// train and the dev split.
func (s *Session) Identify(ctx context.Context) (identity.Manifest, error) {
	splits := map[string]*dataset.Split{}
	for _, name := range []string{"train", "dev"} {
		split, err := s.Set.Load(ctx, name)
		if err != nil {
			return identity.Manifest{}, loading(err)
		}
		splits[name] = split
	}
	return s.identify(splits)
}

// identify is Identify of splits that have been read. What the session resolved
// stands in place of what the run file says.
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

// With returns the identity m of a session, as it is with the settings of another
// configuration that has the same data and the same model.
func (s *Session) With(c *config.Config, m identity.Manifest) (identity.Manifest, error) {
	other := *s
	other.Config = c
	var err error
	m.Settings, err = other.settings()
	return m, err
}

// CheckRun reports whether a run directory holds the run that now says: a
// finished one by all that it was made from, another by its settings. It is an
// error that lists the differences and wraps ErrOtherRun or adapter.ErrMismatch.
func CheckRun(dir string, now identity.Manifest) error {
	was, err := identity.Read(filepath.Join(dir, finalDir))
	if err != nil {
		return err
	}
	if was == nil {
		c, err := config.Load(filepath.Join(dir, ConfigFile), nil, nil)
		if err != nil {
			return err
		}
		was = &identity.Manifest{Settings: written(c)}
	}
	return refuse(fmt.Sprintf("train: open %s: it holds a run that was made from something else; want another directory, or what it was made from:", dir),
		identity.Compare(*was, now))
}

// written are the settings of a run file that was written for a run, without
// those that it may have left to the data.
func written(c *config.Config) map[string]string {
	settings := c.Settings()
	for _, key := range []string{"data.task", "data.metric", "data.max_length"} {
		delete(settings, key)
	}
	return settings
}

// identifyBase says which base model the session has.
func (s *Session) identifyBase() (identity.Base, error) {
	weights, err := adapter.Fingerprint(s.Dir)
	tokens := s.Tokenizer.Hash()
	return identity.Base{Weights: weights, Tokenizer: hex.EncodeToString(tokens[:]), Config: s.Model.Identity()}, err
}

// settings are those of the configuration, with what the data decides where the
// run file leaves it open, and with the content of the adapter that the run
// begins with.
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

// Resolve returns c, whose data and model must be those of the session, with
// what they decide where it leaves a key open.
func (s *Session) Resolve(c *config.Config) *config.Config {
	resolved := *c
	d := &resolved.Data
	if d.MaxLength == 0 {
		d.MaxLength = s.MaxLength
	}
	d.Metric = cmp.Or(d.Metric, s.Set.Task.Select)
	// Tasks of GLUE have their own kind, which a run file must not name.
	switch {
	case s.Set.Format != "custom" || d.Kind != "":
	case s.Set.Task.Labels == nil:
		d.Kind = dataset.Regression
	default:
		d.Kind = dataset.Classification
	}
	return &resolved
}

// recorded returns what a checkpoint or adapter directory says it was made from.
// Of a directory that an older lor2c wrote it is what can be gathered from the
// description and from the run file beside it.
func recorded(dir string, saved *adapter.Saved) (identity.Manifest, error) {
	if saved.Identity != nil {
		return *saved.Identity, nil
	}
	m := identity.Manifest{Base: identity.Base{Weights: saved.Base.SHA256}, Labels: append([]string{}, saved.Task.Labels...)}
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

// sameBase reports whether an adapter was trained on the session's base model.
// The probabilities of dropout do not count: nothing is dropped in an evaluation.
func (s *Session) sameBase(dir string, saved *adapter.Saved) error {
	now, err := s.identifyBase()
	if err != nil {
		return err
	}
	if saved.Identity == nil {
		return saved.CheckBase(adapter.Base{Path: s.Dir, SHA256: now.Weights})
	}
	return refuse(fmt.Sprintf("train: evaluate %s: it was trained on another base model than %s; want the one it belongs to:", dir, s.Config.Model),
		identity.Compare(outcome(saved.Identity.Base), identity.Manifest{Base: now}))
}

// unchecked says what an evaluation has to take on trust of a directory that
// lor2c wrote. One of PEFT never says anything of it.
func unchecked(dir string, saved *adapter.Saved) (lines []string) {
	if saved.Task.Name == "" {
		return nil
	}
	if saved.Identity == nil {
		lines = append(lines, dir+" was written by an older lor2c: whether tokenizer and config.json are those it was trained with could not be checked")
	}
	if !saved.Sealed {
		lines = append(lines, dir+" has no checksums: whether its files are as they were written could not be checked")
	}
	return lines
}

// outcome is what of a base model bears on the outputs of a trained adapter:
// nothing is dropped in an evaluation.
func outcome(b identity.Base) identity.Manifest {
	b.Config = maps.Clone(b.Config)
	maps.DeleteFunc(b.Config, func(key, _ string) bool { return strings.Contains(key, "dropout") })
	return identity.Manifest{Base: b}
}

// refuse returns an error that lists differences one a line under a headline,
// nil where there are none. It wraps adapter.ErrMismatch where only the base
// model differs, else ErrOtherRun.
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

// exists reports whether there is anything at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
