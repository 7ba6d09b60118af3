package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
)

// drawnAdapter writes the adapter of a method, with random values that change the outputs of the base model, as a run
// would, and returns the run file.
func drawnAdapter(t testing.TB, method, dir string, change func(*config.Config)) *config.Config {
	t.Helper()
	c := demoConfig(t, t.TempDir(), 24)
	c.Method = adapter.NewConfig(method)
	if change != nil {
		change(c)
	}
	c.Resolve()
	s, err := OpenSession(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.Open[float32](1)
	m, a, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: c.Seed})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat(a.Params(), m.Head()) {
		values, drawn := p.Values(dev), make([]float32, p.Value.Shape.Len())
		compute.Normal(drawn, 7, p.Name+method, 0.05)
		for i := range values {
			values[i] += drawn[i]
		}
		p.Upload(dev, values)
	}
	made, err := s.Identify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	d := adapter.Description{
		Method: c.Method, MaxLength: s.MaxLength, Tokenizer: s.Tokenizer.Files(),
		Base: adapter.Base{Path: c.Model, Dir: s.Dir, SHA256: made.Base.Weights, Type: s.Model.kind, Width: m.HiddenSize(),
			Layers: m.HiddenLayers()},
		Task: adapter.Task{Name: s.Set.Task.Name, Labels: s.Set.Task.Labels, Text: s.Set.Task.Text},
	}
	err = checkpoint.WriteDir(dir, func(tmp string) error {
		return errors.Join(adapter.Save(tmp, dev, d, a, m.Head()), made.Write(tmp))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// devTexts returns the texts of the dev split of a run file.
func devTexts(t testing.TB, c *config.Config) []dataset.Example {
	t.Helper()
	s, err := OpenSession(context.Background(), c, "dev")
	if err != nil {
		t.Fatal(err)
	}
	split, err := s.Set.Load(context.Background(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	return split.Examples
}

// predictor returns a predictor on a device of its own.
func predictor(t testing.TB, base string, dirs ...string) (*Predictor, compute.Device) {
	t.Helper()
	p, err := OpenPredictor(dirs, base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	dev := cpu.Open[float32](2)
	if err := p.Load(dev); err != nil {
		t.Fatal(err)
	}
	return p, dev
}

func outputs(t testing.TB, p *Predictor, examples []dataset.Example) []Outputs {
	t.Helper()
	out, err := p.Outputs(context.Background(), "texts", examples)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPredictorEveryMethod: the outputs of the adapter of every method are those of an evaluation, whatever texts are
// computed together, to the bit. With OpenBLAS, whose sums depend on the rows that are multiplied together, they are
// close.
func TestPredictorEveryMethod(t *testing.T) {
	exact := cpu.BLAS() != "openblas"
	same := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(x, y float32) bool {
			return x == y || !exact && math.Abs(float64(x-y)) < 1e-5
		})
	}
	near := 1e-12
	if !exact {
		near = 1e-6
	}
	for _, method := range adapter.Names() {
		t.Run("method="+method, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "adapter")
			c := drawnAdapter(t, method, dir, nil)
			examples := devTexts(t, c)
			p, _ := predictor(t, "", dir)
			together := outputs(t, p, examples)[0].Values
			e, err := Evaluate(context.Background(), c, cpu.Open[float32](1), dir, "dev", nil)
			if err != nil {
				t.Fatal(err)
			}
			const width = 10
			for i, want := range e.Predictions {
				row := together[i*width : (i+1)*width]
				if best := slices.Index(row, slices.Max(row)); float32(best) != want {
					t.Errorf("text %d: class %d; an evaluation has %v", i, best, want)
				}
				// The loss of an evaluation comes from its logits.
				label, sum := int(examples[i].Label), 0.0
				for _, x := range row {
					sum += math.Exp(float64(x) - float64(row[label]))
				}
				if loss := math.Log(sum); math.Abs(loss-e.Losses[i]) > near*(1+loss) {
					t.Errorf("text %d: loss %v; an evaluation has %v", i, loss, e.Losses[i])
				}
			}
			for i := len(examples) - 1; i >= 0; i -= 5 {
				alone := outputs(t, p, examples[i:i+1])[0].Values
				if !same(alone, together[i*width:(i+1)*width]) {
					t.Fatalf("text %d: %v alone, %v beside others", i, alone, together[i*width:(i+1)*width])
				}
			}
		})
	}
}

// TestPredictorTogether: adapters that leave the base as it is share it, also with other labels; every adapter computes
// what it computes alone.
func TestPredictorTogether(t *testing.T) {
	root := t.TempDir()
	var dirs []string
	var examples []dataset.Example
	var base int64
	for _, method := range []string{"lora", "lor2c", "bitfit", "full", "head"} {
		dir := filepath.Join(root, method)
		c := drawnAdapter(t, method, dir, func(c *config.Config) {
			if method == "head" { // predicts a number
				c.Data.Kind, c.Data.Labels, c.Data.MaxLength = dataset.Regression, nil, 16
				numbers(t, c)
			}
		})
		if dirs, examples = append(dirs, dir), devTexts(t, c); method == "lora" {
			_, dev := predictor(t, "", dir)
			base = dev.Stats().PersistentBytes
		}
	}
	p, _ := predictor(t, "", dirs...)
	together := outputs(t, p, examples)
	for i, dir := range dirs {
		alone, _ := predictor(t, "", dir)
		if !slices.Equal(outputs(t, alone, examples)[0].Values, together[i].Values) {
			t.Errorf("%s computes something else beside others", dir)
		}
	}
	if n := len(together[4].Values); n != len(examples) || p.Task(4).Labels != nil {
		t.Errorf("the adapter of a number has %d outputs for %d texts", n, len(examples))
	}
	_, dev := predictor(t, "", dirs[0], dirs[1], dirs[4])
	if got := dev.Stats().PersistentBytes; got > base+base/4 {
		t.Errorf("three adapters take %d bytes and one %d; the base is there more than once", got, base)
	}
}

// numbers writes a number for each row of the data of c.
func numbers(t testing.TB, c *config.Config) {
	t.Helper()
	for _, path := range []string{c.Data.Train, string(c.Data.Dev)} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
		for i := 1; i < len(lines); i++ {
			text, _, _ := strings.Cut(lines[i], "\t")
			lines[i] = text + "\t" + string(rune('0'+i%7))
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPredictorOtherBase: an adapter is refused on another base, and before the weights are read if its config.json or
// its tokenizer tells.
func TestPredictorOtherBase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "adapter")
	c := drawnAdapter(t, "lora", dir, nil)
	base := func(change func(dir string)) string {
		t.Helper()
		other := t.TempDir()
		if err := os.CopyFS(other, os.DirFS(c.Model)); err != nil {
			t.Fatal(err)
		}
		change(other)
		return other
	}
	edit := func(path, old, now string) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), old) {
			t.Fatalf("%s has no %s: %v", path, old, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), old, now, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unread := base(func(dir string) {
		edit(filepath.Join(dir, "config.json"), `"num_attention_heads": 4`, `"num_attention_heads": 2`)
		if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), []byte("not weights"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	_, err := OpenPredictor([]string{dir}, unread)
	if !errors.Is(err, adapter.ErrMismatch) || !strings.Contains(err.Error(), "config.json: num_attention_heads: 4") {
		t.Errorf("another config.json: %v", err)
	}
	other := base(func(dir string) {
		path := filepath.Join(dir, "model.safetensors")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-2] ^= 1
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	p, err := OpenPredictor([]string{dir}, other)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Load(cpu.Open[float32](1)); !errors.Is(err, adapter.ErrMismatch) ||
		!strings.Contains(err.Error(), "weights: SHA-256") {
		t.Errorf("other weights: %v", err)
	}
}

// TestPredictorFindsBase: a relative path leads to the base from the working directory or from one above the adapter;
// a directory with all weights needs no base; otherwise the error says how to name one.
func TestPredictorFindsBase(t *testing.T) {
	project, away := t.TempDir(), t.TempDir()
	dir := filepath.Join(project, "runs", "reviews", "best")
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	c := drawnAdapter(t, "lora", dir, nil)
	if err := os.CopyFS(filepath.Join(project, "models", "base"), os.DirFS(c.Model)); err != nil {
		t.Fatal(err)
	}
	rename := func(dir string) {
		path := filepath.Join(dir, "lor2c.json")
		raw, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(raw), c.Model, "models/base", 1)), 0o644)
		}
		if err = errors.Join(err, os.Remove(filepath.Join(dir, "MANIFEST.sha256"))); err != nil {
			t.Fatal(err)
		}
	}
	rename(dir)
	t.Setenv("HF_HUB_CACHE", away)
	t.Chdir(away)
	predictor(t, "", dir)
	copied := filepath.Join(away, "adapter")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_, err := OpenPredictor([]string{copied}, "")
	if err == nil || !strings.Contains(err.Error(), `its base model is "models/base"`) ||
		!strings.Contains(err.Error(), "--model") {
		t.Errorf("without a base: %v", err)
	}
	predictor(t, filepath.Join(project, "models", "base"), copied)
	t.Chdir(project)
	predictor(t, "", copied)
}

// TestPredictorWhole: the directory of full fine-tuning is read without its base model.
func TestPredictorWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "adapter")
	c := drawnAdapter(t, "full", dir, nil)
	examples := devTexts(t, c)
	want, _ := predictor(t, c.Model, dir)
	alone := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(alone, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	got, _ := predictor(t, "", alone)
	if !slices.Equal(outputs(t, got, examples)[0].Values, outputs(t, want, examples)[0].Values) {
		t.Error("the outputs depend on the base")
	}
}

// TestByLength: every example is in one batch, batches have at most the given number of tokens unless one example has
// more, and examples of similar length are together.
func TestByLength(t *testing.T) {
	d := data{Encoded: &dataset.Encoded{Cu: []int64{0, 3, 4, 24, 26, 31}}} // lengths 3, 1, 20, 2, 5
	got := d.byLength(6)
	want := [][]int32{{2}, {4}, {0, 3, 1}}
	if len(got) != len(want) {
		t.Fatalf("batches %v; want %v", got, want)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("batches %v; want %v", got, want)
		}
	}
	if got := (data{Encoded: &dataset.Encoded{Cu: []int64{0}}}).byLength(6); got != nil {
		t.Errorf("batches of nothing: %v", got)
	}
}
