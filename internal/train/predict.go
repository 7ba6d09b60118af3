package train

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// Predictor computes the outputs of one or several adapters for texts without labels. It takes labels, lengths and base
// model from the adapters.
type Predictor struct {
	members  []*member
	sessions map[baseKey]*Session     // of base models
	bases    map[string]identity.Base // of those whose weights were read
	shared   map[weights]*model.Encoder
	memory   *compute.Tracker // of the adapters that Load read, with copies of the base model that are not shared
}

// weights names a base model on a device that adapters share.
type weights struct {
	dir, quantize string
	tokens        bool // the head classifies tokens; others can have a pooler
}

// baseKey names the configuration of a base model and of the head on it.
type baseKey struct {
	dir    string
	tokens bool
}

// otherHead returns the key of the same base model for the other kind of head.
func (w weights) otherHead() weights { return weights{w.dir, w.quantize, !w.tokens} }

// member is an adapter of a Predictor.
type member struct {
	dir     string
	saved   *adapter.Saved
	session *Session
	stepper *Stepper
}

// own reports whether the directory is a whole model and its own base.
func (m *member) own() bool { return m.session.Dir == m.dir }

// alone reports whether the adapter changes or trains weights of the base model, of which it then has a copy.
func (m *member) alone() bool {
	return m.saved.Method.Trains() != nil || m.saved.Method.ChangesWeights()
}

// weights returns the key of the base model among those that adapters share.
func (m *member) weights() weights {
	return weights{m.session.Dir, m.session.Config.Train.Quantize, m.saved.Task.Kind == adapter.Tokens}
}

// OpenPredictor opens adapters and checks whether each belongs to its base model, without reading weights. base is the
// directory or the name of the base model. If it is empty, the adapters name the base model; see
// [adapter.Saved.FindBase]. Close closes the files.
func OpenPredictor(dirs []string, base string) (*Predictor, error) {
	p := &Predictor{
		sessions: map[baseKey]*Session{}, bases: map[string]identity.Base{}, shared: map[weights]*model.Encoder{},
	}
	for _, dir := range dirs {
		m := &member{dir: dir}
		p.members = append(p.members, m)
		if err := p.open(m, base); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// open opens one adapter.
func (p *Predictor) open(m *member, base string) (err error) {
	if m.saved, err = adapter.Open(m.dir); err != nil {
		if exists(filepath.Join(m.dir, ConfigFile)) {
			return place.Mistake(fmt.Errorf("%w; this is the directory of a run: name it with --run", err))
		}
		return err
	}
	if m.saved.Task.Name == dataset.Instruct {
		return place.Mistake(fmt.Errorf("train: predict with %s: it is an adapter of a decoder, which continues texts; use "+
			"lor2c generate --adapter %[1]s", m.dir))
	}
	outputs := m.saved.Outputs()
	if outputs == 0 {
		return fmt.Errorf("train: predict with %s: it has no classification head; want an adapter with one: %w", m.dir,
			adapter.ErrMismatch)
	}
	if m.saved.Whole() && base == "" {
		base = m.dir
	}
	if base == "" {
		if base, err = m.saved.FindBase(); err != nil {
			return err
		}
	}
	if m.session, err = p.session(base, m.saved); err != nil {
		return err
	}
	if m.saved.Task.Name == "" {
		m.saved.Task.Labels = outputNames(m.session.Model.encoder.Labels, outputs)
		m.session.Set.Task.Labels = m.saved.Task.Labels
	}
	if m.own() {
		return nil
	}
	return m.session.likeBase(m.dir, m.saved)
}

// session returns a session for an adapter with the base model called base.
func (p *Predictor) session(base string, saved *adapter.Saved) (*Session, error) {
	dir, err := model.Find(base)
	if err != nil {
		return nil, err
	}
	c := config.Default()
	c.Model, c.Method = base, saved.Method
	if saved.NF4() {
		c.Train.Quantize = config.QuantizeNF4
	}
	s, key := &Session{}, baseKey{dir, saved.Task.Kind == adapter.Tokens}
	if open := p.sessions[key]; open != nil {
		*s = *open
	}
	s.Config, s.Dir, s.source = &c, dir, texts{s}
	s.Set = &dataset.Set{Task: dataset.Task{Name: saved.Task.Name, Labels: saved.Task.Labels, Kind: saved.Task.Kind,
		Threshold: saved.Task.Threshold, Separator: saved.Task.Separator}, MaxLength: saved.MaxLength}
	if p.sessions[key] == nil {
		if err := s.openModel(); err != nil {
			return nil, err
		}
		p.sessions[key] = s
	}
	s.MaxLength = s.Model.tokens
	if n := saved.MaxLength; n > 0 {
		s.MaxLength = min(n, s.MaxLength)
	}
	return s, nil
}

// base returns the identity of a base model, whose weights are read once.
func (p *Predictor) base(s *Session) (identity.Base, error) {
	if known, ok := p.bases[s.Dir]; ok {
		return known, nil
	}
	base, err := s.identifyBase()
	if err == nil {
		p.bases[s.Dir] = base
	}
	return base, err
}

// outputNames returns the names of the outputs of a head that another program wrote: those of the base model's
// config.json if their number is right, else LABEL_0 and so on, as in transformers. A single output is a number and has
// no name.
func outputNames(id2label map[string]any, outputs int) (names []string) {
	if outputs == 1 {
		return nil
	}
	for i := range outputs {
		name, ok := id2label[fmt.Sprint(i)].(string)
		if !ok || len(id2label) != outputs {
			name = fmt.Sprintf("LABEL_%d", i)
		}
		names = append(names, name)
	}
	return names
}

// Close closes the files of the adapters.
func (p *Predictor) Close() {
	for _, m := range p.members {
		if m.saved != nil {
			m.saved.Close()
		}
	}
}

// Task returns what the adapter with index i predicts.
func (p *Predictor) Task(i int) adapter.Task { return p.members[i].saved.Task }

// Fingerprint returns a hash of everything that the outputs of the adapter with index i depend on besides the device.
func (p *Predictor) Fingerprint(i int) (string, error) {
	m := p.members[i]
	tensors, err := m.saved.SHA256()
	if err != nil {
		return "", err
	}
	base, err := p.base(m.session)
	return fmt.Sprintf("%s %s %s %d %s", tensors, base.Weights, base.Tokenizer, m.session.MaxLength,
		m.session.Config.Train.Quantize), err
}

// Notes returns lines about what could not be checked.
func (p *Predictor) Notes() (lines []string) {
	for _, m := range p.members {
		lines = append(lines, unchecked(m.dir, m.saved)...)
	}
	return lines
}

// Load reads the base model and the adapters to a device. Adapters that leave the base model as it is share it; one
// that changes or trains its weights gets its own.
func (p *Predictor) Load(dev compute.Device) error {
	p.memory = &compute.Tracker{Device: dev}
	for _, m := range p.members {
		if !m.own() {
			if err := p.checkWeights(m); err != nil {
				return err
			}
		}
		if err := p.load(dev, m); err != nil {
			return blame(dev, "predict with "+m.dir, err)
		}
	}
	return dev.Err()
}

// checkWeights compares the weights of the base model with those that an adapter was trained on.
func (p *Predictor) checkWeights(m *member) error {
	now, err := p.base(m.session)
	if err != nil {
		return err
	}
	return m.session.checkBase(m.dir, m.saved, now)
}

// load reads one adapter, and its base model unless that is loaded.
func (p *Predictor) load(dev compute.Device, m *member) (err error) {
	var n model.Network
	base, loaded := p.shared[m.weights()]
	switch {
	case m.alone():
		n, err = m.session.loadBase(p.memory, m.saved.Method)
	case loaded:
		n, err = base.WithHead(p.memory, m.session.Set.Task.Outputs())
	default:
		if n, err = m.session.loadBase(dev, m.saved.Method); err == nil {
			p.shared[m.weights()] = n.(*model.Encoder)
		}
	}
	if err == nil {
		m.stepper, err = m.session.restoredOn(p.memory, n, m.saved)
	}
	return err
}

// Each returns a Predictor for each adapter of p, to be loaded one after another to the same device.
func (p *Predictor) Each() (list []*Predictor) {
	for _, m := range p.members {
		list = append(list,
			&Predictor{sessions: p.sessions, bases: p.bases, shared: p.shared, members: []*member{m}})
	}
	return list
}

// Beside opens another adapter of the base model of p, to be loaded to the same device. The two share the base model.
// Beside returns an error, and reads no weights, if the adapter belongs to another base model or needs a copy of its
// own. Calls of Beside and Load of Predictors that share a base model must not overlap.
func (p *Predictor) Beside(dir string) (*Predictor, error) {
	next := &Predictor{sessions: p.sessions, bases: p.bases, shared: p.shared, members: []*member{{dir: dir}}}
	m, base := next.members[0], p.members[0].session.Dir
	err := next.open(m, base)
	if err == nil && (m.alone() || m.own()) {
		err = place.Mistake(fmt.Errorf("train: predict with %s: the method %s changes weights of the base model, of which "+
			"the adapter needs a copy; name it when the command starts", dir, m.saved.Method.Name()))
	}
	if err == nil && p.shared[m.weights()] == nil && p.shared[m.weights().otherHead()] != nil {
		err = place.Mistake(fmt.Errorf("train: predict with %s: the adapters of %s that are loaded predict %s, and this one "+
			"%s; name it when the command starts", dir, base, howMany(p.members[0].saved.Task.Kind), howMany(m.saved.Task.Kind)))
	}
	if err == nil && p.shared[m.weights()] == nil {
		err = place.Mistake(fmt.Errorf("train: predict with %s: it needs %s with train.quantize=%s, which is not loaded; "+
			"name it when the command starts", dir, base, m.weights().quantize))
	}
	if err == nil {
		err = next.checkWeights(m)
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// Unload frees the memory of the adapters on the device. A base model that is shared stays there. Outputs must not be
// called afterwards.
func (p *Predictor) Unload() {
	for _, m := range p.members {
		m.stepper = nil
	}
	p.memory.FreeAll()
}

// Outputs are the outputs of one adapter for texts.
type Outputs struct {
	Values    []float32 // [n, width]: logits, or the predicted number; see Words
	Truncated int       // texts of which the end was cut off
	Cut       []bool    // [n]: which texts these are
	Tokens    int       // of all texts
	// Words has for each text, in token classification, the rows of Values that its words have, and -1 for a word
	// without one, because it was cut off or the tokenizer makes no token of it. Values is then [rows, width].
	Words [][]int
}

// Outputs computes the outputs of every adapter for texts, which path names in errors. They have the same bits whatever
// texts are computed together, if a row of a product has the same bits on the device whatever the number of rows. The
// error wraps ErrInterrupted when ctx ends.
func (p *Predictor) Outputs(ctx context.Context, path string, examples []dataset.Example) ([]Outputs, error) {
	type key struct {
		dir    string
		length int
		tokens bool
	}
	encoded := map[key]data{}
	split := &dataset.Split{Path: path, Examples: examples}
	all := make([]Outputs, len(p.members))
	for i, m := range p.members {
		at := key{m.session.Dir, m.session.MaxLength, m.saved.Task.Kind == adapter.Tokens}
		d, ok := encoded[at]
		if !ok {
			var err error
			of := split
			if at.tokens {
				of = words(split)
			}
			if d, err = (texts{m.session}).encode(ctx, of); err != nil {
				return nil, err
			}
			encoded[at] = d
		}
		width := m.session.Set.Task.Outputs()
		out := Outputs{Values: make([]float32, len(examples)*width), Truncated: d.Truncated, Cut: d.Cut,
			Tokens: len(d.IDs)}
		if at.tokens {
			out.Values, out.Words = make([]float32, len(d.Words)*width), d.rowsOfWords()
		}
		err := m.stepper.each(ctx, d, d.byLength(mostTokens), func(part []int32, b model.Batch, values []float32) {
			ends, start := b.Ends(), 0
			for j, example := range part {
				to, end := int(example), j+1
				if at.tokens {
					to, end = int(d.WordCu[example]), ends[j]
				}
				copy(out.Values[to*width:], values[start*width:end*width])
				start = end
			}
		})
		if err != nil {
			return nil, blame(m.stepper.Dev, "predict with "+m.dir, err)
		}
		all[i] = out
	}
	return all, nil
}

// mostTokens is the number of tokens of a batch of texts to predict. More do not make a product of matrices faster.
const mostTokens = 4096

// byLength divides the examples into batches of at most the given number of tokens, each of examples of similar length.
func (d data) byLength(tokens int) [][]int32 {
	order := sequence(d.Len())
	if d.WordCu != nil { // a batch must have a token to classify
		order = slices.DeleteFunc(order, func(i int32) bool { return d.WordCu[i] == d.WordCu[i+1] })
	}
	slices.SortStableFunc(order, func(a, b int32) int { return d.Tokens(b) - d.Tokens(a) })
	return d.Parts(order, len(order), tokens)
}
