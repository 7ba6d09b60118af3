package train

import (
	"cmp"
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

// identify says what a run of the session's configuration on these splits is
// made from. What the session resolved stands in place of what the run file
// says.
func (s *Session) identify(splits map[string]data) (identity.Manifest, error) {
	m := identity.Manifest{Labels: append([]string{}, s.Set.Task.Labels...), Data: map[string]identity.Split{}, Settings: s.settings()}
	var err error
	if m.Base, err = s.identifyBase(); err != nil {
		return m, err
	}
	for name, d := range splits {
		m.Data[name] = identity.Split{Examples: d.Len(), SHA256: s.Set.Task.Digest(d.split)}
	}
	return m, nil
}

// identifyBase says which base model the session has.
func (s *Session) identifyBase() (identity.Base, error) {
	weights, err := adapter.Fingerprint(s.Dir)
	tokens := s.Tokenizer.Hash()
	return identity.Base{Weights: weights, Tokenizer: hex.EncodeToString(tokens[:]), Config: s.Model.Identity()}, err
}

// settings are those of the configuration, with what the data decides where the
// run file leaves it open.
func (s *Session) settings() map[string]string {
	c := s.Resolve(s.Config)
	c.Data.Task = s.Set.Task.Name
	return c.Settings()
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
	m.Settings = c.Settings()
	// What these were resolved to is not known.
	for _, key := range []string{"data.task", "data.metric", "data.max_length"} {
		delete(m.Settings, key)
	}
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
	was := identity.Manifest{Base: saved.Identity.Base}
	was.Base.Config = maps.Clone(was.Base.Config)
	maps.DeleteFunc(was.Base.Config, func(key, _ string) bool { return strings.Contains(key, "dropout") })
	return refuse(fmt.Sprintf("train: evaluate %s: it was trained on another base model than %s; want the one it belongs to:", dir, s.Config.Model),
		identity.Compare(was, identity.Manifest{Base: now}))
}

// differs is the error of a directory that was made from something else. It
// wraps adapter.ErrMismatch where only the base model differs, else ErrOtherRun.
type differs struct {
	text        string
	differences []identity.Difference
}

func (d *differs) Error() string { return d.text }

func (d *differs) Unwrap() error {
	for _, x := range d.differences {
		if !x.Base {
			return ErrOtherRun
		}
	}
	return adapter.ErrMismatch
}

// refuse returns an error that lists differences one a line under a headline,
// nil where there are none.
func refuse(headline string, differences []identity.Difference) error {
	if differences == nil {
		return nil
	}
	return &differs{identity.List(headline, differences), differences}
}

// exists reports whether there is anything at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
