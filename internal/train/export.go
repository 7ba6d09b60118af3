package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/gguf"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/onnx"
	"github.com/lor2c/lor2c/internal/place"
)

// Exported describes an export.
type Exported struct {
	Method    string
	Precision checkpoint.DType // of the tensors that were written
	Rows      int              // of dev whose outputs were compared
	// Drift is the largest difference of an output between the adapter and its export, and Largest the largest output.
	Drift, Largest float64
	// Notes are lines about what could not be checked.
	Notes []string
}

// driftRows is the number of rows of dev on which an export is compared with the adapter.
const driftRows = 32

// Export writes the adapter in dir to out, a directory that does not exist, in a format of package adapter, and
// compares what both compute. c is the run file of the adapter's run. dev computes in float32. A merged model has the
// given precision, or if that is empty, the one of the base model's weights. The adapter of a quantised base is merged
// into the values that the base has in four bits.
func Export(ctx context.Context, c *config.Config, dev compute.Device, dir, out, format string,
	precision checkpoint.DType) (*Exported, error) {
	if err := vacant(out); err != nil {
		return nil, err
	}
	saved, err := adapter.Open(dir)
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	e := &Exported{Method: saved.Method.Name(), Precision: checkpoint.F32, Notes: unchecked(dir, saved)}
	if err := adapter.CheckExport(saved.Description, format); err != nil {
		return nil, err
	}
	own := *c
	own.Data.MaxLength = cmp.Or(own.Data.MaxLength, saved.MaxLength)
	s, err := openSession(ctx, &own, []string{"dev"}, saved.Task.Labels)
	if err != nil {
		return nil, err
	}
	if adapter.IsMerged(format) {
		if e.Precision = precision; precision == "" {
			if e.Precision, err = precisionOf(s.Dir); err != nil {
				return nil, err
			}
		}
	}
	header, err := s.headerGGUF(dir, saved.Base.Path, format, e.Precision)
	if err != nil {
		return nil, err
	}
	d, err := s.load(ctx, "dev", false)
	if err != nil {
		return nil, err
	}
	from, err := s.restored(dev, dir, saved)
	if err != nil {
		return nil, blame(dev, "export "+dir, err)
	}
	to, form, err := s.reformed(dev, from, saved, format, e.Precision)
	if err != nil {
		return nil, blame(dev, "export "+dir, err)
	}
	var packed map[string]nf4.Matrix
	if format == adapter.FormatMergedNF4 {
		packed = model.Pack(dev, to.Model)
	}
	e.Rows = min(driftRows, d.Len())
	if e.Drift, e.Largest, err = drift(from, to, d, sequence(e.Rows)); err != nil {
		return nil, blame(dev, "export "+dir, err)
	}
	description := saved.Description
	description.Method, description.Base.Dir, description.DType = form, s.Dir, e.Precision
	description.Tokenizer, description.Packed = s.Tokenizer.Files(), packed
	if adapter.IsMerged(format) || adapter.InOneFile(format) {
		description.Merged = e.Method
	}
	if packed != nil {
		e.Precision = bitsandbytes.NF4
	}
	return e, writeExport(out, to, description, saved.Identity, format, header)
}

// loadONNX is the end of the model card of an ONNX model.
const loadONNX = "`onnxruntime.InferenceSession` loads model.onnx. Its inputs are the arrays of int64 that the " +
	"tokenizer returns, with the padding at the end, and its output is the logits."

// writeExport writes the method and the head of to, and what they were trained from if that is known, to a new
// directory. header is that of a model in GGUF.
func writeExport(out string, to *Stepper, d adapter.Description, from *identity.Manifest, format string,
	header *gguf.File) error {
	return checkpoint.WriteDir(out, func(tmp string) error {
		if from != nil {
			if err := from.Write(tmp); err != nil {
				return err
			}
		}
		switch format {
		case adapter.FormatGGUF:
			return writeGGUF(tmp, header, to, d)
		case adapter.FormatGGUFLoRA:
			return writeGGUFLoRA(tmp, to, d)
		case adapter.FormatONNX:
			return writeONNX(tmp, to, d)
		}
		return adapter.Save(tmp, to.Dev, d, to.Method, to.Model.Head())
	})
}

// writeONNX writes the encoder of to with its head and its method into tmp.
func writeONNX(tmp string, to *Stepper, d adapter.Description) error {
	if err := adapter.SaveBeside(tmp, d, true, "onnx", loadONNX); err != nil {
		return err
	}
	graph := onnx.Encoder(to.Dev, to.Model.(*model.Encoder), adapter.Paths(to.Method))
	return errors.Join(graph.Save(tmp, onnx.Inline), to.Dev.Err())
}

// vacant returns an error unless out does not exist or is an empty directory.
func vacant(out string) error {
	entries, err := os.ReadDir(out)
	if err == nil && len(entries) == 0 || os.IsNotExist(err) {
		if folder := filepath.Dir(filepath.Clean(out)); !exists(folder) {
			return place.Mistake(
				fmt.Errorf("train: export to %s: the directory %s does not exist; create it first", out, folder))
		}
		return nil
	}
	return place.Mistake(fmt.Errorf("train: export to %s: it exists; want the name of a new directory", out))
}

// precisionOf returns the type of the weights of a model directory, which is that of its largest tensor: F32, BF16 or
// F16, and for a matrix in four bits the one that it had before.
func precisionOf(dir string) (checkpoint.DType, error) {
	m, err := bitsandbytes.Open(dir)
	if err != nil {
		return "", err
	}
	defer m.Close()
	var found checkpoint.DType
	largest := 0
	for _, name := range m.Names() {
		if d, shape, _ := m.Info(name); compute.Shape(shape).Len() > largest {
			found, largest = d, compute.Shape(shape).Len()
			if d == bitsandbytes.NF4 {
				found = m.Source(name)
			}
		}
	}
	if found != checkpoint.BF16 && found != checkpoint.F16 {
		found = checkpoint.F32
	}
	return found, nil
}

// reformed returns a stepper with a new copy of the base model and the form of from's method in a format, and the
// settings of that form.
func (s *Session) reformed(dev compute.Device, from *Stepper, saved *adapter.Saved, format string,
	d checkpoint.DType) (*Stepper, adapter.Config, error) {
	form, err := adapter.NewForm(dev, saved, from.Method, format)
	if err != nil {
		return nil, form.Config, err
	}
	n, method, err := s.attach(dev, adapter.Settings{Config: form.Config, Seed: s.Config.Seed, Structure: form.Structure})
	if err != nil {
		return nil, form.Config, err
	}
	if err := form.Fill(dev, method, n, from.Model.Head(), d); err != nil {
		return nil, form.Config, err
	}
	return &Stepper{Dev: dev, Model: n, Method: form.Beside(method), Objective: from.Objective}, form.Config, nil
}

// drift returns the largest difference between the outputs of two steppers for examples, and the largest output of a.
func drift(a, b *Stepper, d data, examples []int32) (difference, largest float64, err error) {
	batch := d.batch(examples)
	x, err := a.Results(batch)
	if err != nil {
		return 0, 0, err
	}
	y, err := b.Results(batch)
	if err != nil {
		return 0, 0, err
	}
	for i := range x {
		difference = math.Max(difference, math.Abs(float64(x[i])-float64(y[i])))
		largest = math.Max(largest, math.Abs(float64(x[i])))
	}
	for s, values := range map[*Stepper][]float32{a: x, b: y} {
		if slices.ContainsFunc(values, notFinite) {
			return 0, 0, s.diagnoseEvaluation(batch, d.split.Path, d.where(examples))
		}
	}
	return difference, largest, nil
}

// String returns the comparison as a line for people.
func (e *Exported) String() string {
	return fmt.Sprintf("%s in %s; on %s of dev the outputs differ by at most %.2g, and the largest is %.3g", e.Method,
		strings.ToLower(string(e.Precision)), place.Count(e.Rows, "row", "rows"), e.Drift, e.Largest)
}
