package adapter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
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
		if target, err := os.Readlink(dir); err == nil { // a copy of best, which is a link in a run directory
			return nil, place.Mistake(fmt.Errorf("adapter: open %s: it is a link to %s, which is not there; want a copy of "+
				"that directory, as cp -rL makes it", dir, place.Quote(target)))
		}
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

// SHA256 returns the SHA-256 of the tensors of the adapter as 64 hexadecimal
// digits.
func (s *Saved) SHA256() (string, error) {
	name := tensorsFile
	if s.Method.wholeModel() {
		name = modelFile
	}
	sum, err := checkpoint.HashFiles(filepath.Join(s.dir, name))
	if err != nil {
		return "", fmt.Errorf("adapter: read %s: %w", s.dir, err)
	}
	return sum, nil
}

// Injected reports whether modules of the adapter were replaced by others when it was trained.
func (s *Saved) Injected() bool {
	layout, err := parseStructure(s.Structure, s.Base.Layers)
	return err == nil && len(layout.Injected) > 0
}
