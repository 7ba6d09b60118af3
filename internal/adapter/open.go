package adapter

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// ErrMismatch is wrapped by errors about an adapter that does not belong to the model.
var ErrMismatch = errors.New("adapter and model do not match")

// Saved is an adapter directory that is open for reading.
type Saved struct {
	Description
	// Identity is what the adapter was trained from. It is nil if an older lor2c
	// or another program wrote the directory.
	Identity *identity.Manifest
	// Sealed means that the directory has a checksum manifest, which was verified.
	Sealed bool

	dir       string
	described string // path of the file with the settings
	path      string // of the tensors
	file      tensorFile
	scope     *peftScope // of an adapter that PEFT wrote; else nil
}

// tensorFile is a file with tensors that is open for reading.
type tensorFile interface {
	Names() []string
	Info(name string) (dtype checkpoint.DType, shape []int, ok bool)
	ReadFinite(dst []float32, name string) error
	Close() error
}

// NF4 reports whether the adapter was trained on a base whose linear layers were stored in four bits. It belongs to
// the same base stored in the same way.
func (s *Saved) NF4() bool {
	return s.Identity != nil && s.Identity.Settings["train.quantize"] == "nf4"
}

// FindBase returns the directory of the base model that the adapter names, or its name in the Hugging Face cache. A
// relative path is looked for in the working directory, and then in the directories above the adapter, the nearest
// first, because a run file usually names the model relative to the directory above the runs.
func (s *Saved) FindBase() (string, error) {
	name := s.Base.Path
	if name == "" {
		return "", place.Mistake(
			fmt.Errorf("adapter: open %s: it does not name its base model; name it with --model", s.dir))
	}
	if _, err := os.Lstat(name); err == nil || filepath.IsAbs(name) {
		return name, nil
	}
	at, err := filepath.Abs(s.dir)
	for err == nil && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		dir := filepath.Join(at, name)
		if _, err := os.Lstat(filepath.Join(dir, "config.json")); err == nil {
			return dir, nil
		}
	}
	if _, err := model.Find(name); err != nil {
		return "", place.Mistake(fmt.Errorf("adapter: open %s: its base model is %s, which is neither a directory, from "+
			"here or from a directory above the adapter, nor a model in the Hugging Face cache; name the directory of the base "+
			"model with --model, or fetch a model of the hub with: hf download NAME", s.dir, place.Quote(name)))
	}
	return name, nil
}

// Open opens an adapter directory that lor2c train wrote, or an adapter of
// PEFT, which does not contain its task. If the directory has a
// checksum manifest, every file is compared with it first. If a file does not
// match, the error wraps checkpoint.ErrCorrupt. Faults in the files of
// another directory are mistakes of the user, as those of a model directory are.
func Open(dir string) (*Saved, error) {
	s, err := open(dir)
	if err != nil && !checkpoint.Sealed(dir) {
		err = place.Given(err)
	}
	return s, err
}

func open(dir string) (*Saved, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, place.Mistake(fmt.Errorf("adapter: open %s: %w; want a directory that lor2c train or PEFT wrote", dir,
			fs.ErrNotExist))
	case err == nil && !info.IsDir():
		return nil, place.Mistake(fmt.Errorf("adapter: open %s: it is a file; want a directory that lor2c train or PEFT "+
			"wrote", dir))
	}
	sealed := checkpoint.Sealed(dir)
	if sealed {
		if err := checkpoint.VerifyDir(dir); err != nil {
			return nil, err
		}
	}
	d, described, scope, err := readDescription(dir)
	if err != nil {
		return nil, err
	}
	made, err := identity.Read(dir)
	if err != nil {
		return nil, err
	}
	name := tensorsFile
	if d.Method.wholeModel() {
		name = modelFile
	}
	path := filepath.Join(dir, name)
	f, err := openTensors(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noTensors(dir, name)
	}
	if err != nil {
		return nil, err
	}
	if split := methods[d.Method.name].split; split != nil {
		f = split(f, d.Base.Layers)
	}
	if scope != nil {
		if err := scope.complete(described, path, f, &d); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &Saved{d, made, sealed, dir, described, path, f, scope}, nil
}

// openTensors opens a file in dir. The matrices of a model may be in four bits.
func openTensors(dir, name string) (tensorFile, error) {
	path := filepath.Join(dir, name)
	if name == tensorsFile {
		return checkpoint.Open(path)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return bitsandbytes.Open(dir)
}

// noTensors explains why an adapter directory has no readable tensors.
func noTensors(dir, name string) error {
	if _, err := os.Stat(filepath.Join(dir, pickleFile)); err == nil {
		return fmt.Errorf("adapter: open %s: its only tensors are %s, a pickle, which is never read; convert it there "+
			"with %s",
			dir, pickleFile, checkpoint.ConvertHint(pickleFile, tensorsFile))
	}
	return fmt.Errorf("adapter: open %s: there is no %s, only %s; want the whole directory that lor2c train or PEFT wrote",
		dir, name, entries(dir))
}

// Close releases the file.
func (s *Saved) Close() error { return s.file.Close() }

// Scalars returns the number of trained scalars of the adapter without the head and without those that a schedule gave
// up. For full fine-tuning it is the number of scalars of the encoder.
func (s *Saved) Scalars() (n int) {
	for _, name := range s.file.Names() {
		if strings.Contains(name, "classifier.") || strings.Contains(name, ".pooler.") {
			continue
		}
		if frozen := methods[s.Method.name].frozen; frozen != nil && frozen(name) {
			continue
		}
		_, shape, _ := s.file.Info(name)
		n += compute.Shape(shape).Len()
		// PEFT leaves out of the file what was given up.
		if givenUp := methods[s.Method.name].givenUp; givenUp != nil && s.Structure != nil && s.scope == nil {
			n -= givenUp(s.Structure, name, shape)
		}
	}
	return n
}

// Outputs returns the number of outputs of the classification head, or 0 if the adapter has none.
func (s *Saved) Outputs() int {
	for _, name := range s.file.Names() {
		if base, ok := strings.CutSuffix(name, ".weight"); ok && (base == "classifier" ||
			strings.HasSuffix(base, ".classifier") || strings.HasSuffix(base, "classifier.out_proj")) {
			if _, shape, _ := s.file.Info(name); len(shape) == 2 {
				return shape[0]
			}
		}
	}
	return 0
}

// Loading returns the library that loads the adapter, and a sentence that says how.
func (s *Saved) Loading() (library, how string) {
	m := methods[s.Method.name]
	return m.library, m.load
}

// Whole reports whether the directory has all weights of a model, and not an adapter beside a base model.
func (s *Saved) Whole() bool { return s.Method.wholeModel() }

// CheckBase returns an error if the adapter was trained on another base model than
// base. An adapter of PEFT does not record its base's checksum, so only its shapes are
// checked, by Restore.
func (s *Saved) CheckBase(base Base) error {
	if s.Base.SHA256 == "" || s.Base.SHA256 == base.SHA256 {
		return nil
	}
	older, err := olderFingerprint(base.Path)
	if err != nil {
		return err
	}
	if s.Base.SHA256 != older {
		return fmt.Errorf("adapter: load %s: it was trained on %s (weights %.12s), and %s has other weights (%.12s); "+
			"name its own base model: %w",
			s.dir, s.Base.Path, s.Base.SHA256, base.Path, base.SHA256, ErrMismatch)
	}
	return nil
}

// Attach creates the method of the adapter for m, without its values, which Restore reads. An error about settings or a
// structure that do not suit m names the file that has them.
func (s *Saved) Attach(dev compute.Device, m model.Network, seed uint64) (Method, error) {
	method, err := Attach(dev, m, Settings{Config: s.Method, Seed: seed, Structure: s.Structure, From: s.described})
	if err != nil && !s.Sealed {
		err = place.Given(err)
	}
	return method, err
}

// Described returns the path of the file that has the settings and the structure of the adapter.
func (s *Saved) Described() string { return s.described }

// Restore copies the values of the file into the parameters of the method and the head.
// It returns an error if a parameter is missing or has another shape, or if the file has
// other tensors.
func (s *Saved) Restore(dev compute.Device, m Method, head []*tape.Param) error {
	own := slices.Concat(m.Params(), m.Buffers())
	if err := s.match(own, head, nil); err != nil {
		return err
	}
	for _, p := range slices.Concat(own, head) {
		if err := s.upload(dev, p, nil); err != nil {
			return err
		}
	}
	return errors.Join(m.Restored(), dev.Err())
}

// match returns an error unless the file has exactly the tensors of own and
// head, with their shapes. It may also have the tensors of left.
func (s *Saved) match(own, head, left []*tape.Param) error {
	params := slices.Concat(own, head)
	for i, p := range params {
		name := fileName(s.Method, p)
		_, shape, ok := s.file.Info(name)
		if !ok && s.leftOut(name) {
			continue
		}
		if !ok {
			what := "tensor"
			if i >= len(own) {
				what = "tensor of the classification head"
			}
			return fmt.Errorf("adapter: load %s: the %s %s is missing; want all %d tensors of the method and the head: %w",
				s.path, what, name, len(params), ErrMismatch)
		}
		if !s.fits(name, shape, p.Value.Shape) {
			return fmt.Errorf("adapter: load %s: %s is %v; the model and the method need %v: %w", s.path, name, shape,
				[]int(p.Value.Shape), ErrMismatch)
		}
	}
	known := slices.Concat(params, left)
	for _, name := range s.file.Names() {
		if !slices.ContainsFunc(known, func(p *tape.Param) bool { return fileName(s.Method, p) == name }) {
			return fmt.Errorf("adapter: load %s: unexpected tensor %s: method %s has no such parameter on this model: %w",
				s.path, place.List([]string{name}), s.Method.name, ErrMismatch)
		}
	}
	return nil
}

// upload copies the file's values of a parameter to the device. If order is not
// nil, row i of the parameter is row order[i] of the file.
func (s *Saved) upload(dev compute.Device, p *tape.Param, order []int) error {
	name := fileName(s.Method, p)
	_, shape, ok := s.file.Info(name)
	if !ok { // see match
		if _, leaf, _ := modulePath(name); !startsNeutral(leaf) {
			p.Upload(dev, make([]float32, p.Value.Shape.Len()))
		}
		return nil
	}
	values := make([]float32, compute.Shape(shape).Len())
	if err := s.file.ReadFinite(values, name); err != nil {
		return err
	}
	values = s.spread(name, values, shape, p.Value.Shape)
	if order != nil {
		width, sorted := len(values)/len(order), make([]float32, 0, len(values))
		for _, row := range order {
			sorted = append(sorted, values[row*width:(row+1)*width]...)
		}
		values = sorted
	}
	p.Upload(dev, values)
	return nil
}

// bits returns the bits of floats, which compare equal for NaN and different
// for -0 and 0.
func bits(v []float32) []uint32 {
	out := make([]uint32, len(v))
	for i, x := range v {
		out[i] = math.Float32bits(x)
	}
	return out
}
