package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
)

// header returns the values of the comment lines "# name: value" of text.
func header(text []byte, name string) (values []string) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "# "+name+": "); ok {
			values = append(values, strings.TrimRight(value, "\r\n"))
		}
	}
	return values
}

// TestBadFiles loads each testdata/*.bad.yaml and wants the lines of its
// "# want:" comments, FILE standing for its path, KEYS(lora) for the keys of a
// method, and KEYS(method) for those of the section of methods.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	all := []string{"name"}
	for _, k := range adapter.AllKeys() {
		if !slices.Contains(all, k.Name) {
			all = append(all, k.Name)
		}
	}
	for _, file := range files {
		t.Run("file="+filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("FILE", file, "KEYS(method)", place.List(all),
				"KEYS(lora)", strings.Join(adapter.Keys("lora"), ", ")).Replace(strings.Join(header(text, "want"), "\n"))
			_, err = Load(file, header(text, "set"), header(text, "env"))
			wantFaults(t, err, want)
		})
	}
}

// wantFaults fails the test unless err is an *Error whose text is want.
func wantFaults(t *testing.T, err error, want string) {
	t.Helper()
	var all *Error
	if !errors.As(err, &all) {
		t.Fatalf("got error %v, want an *Error:\n%s", err, want)
	}
	if all.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Run("file=missing", func(t *testing.T) {
		_, err := Load("testdata/none.yaml", nil, nil)
		wantFaults(t, err, "config: testdata/none.yaml: there is no such file; want a run file in YAML")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error("errors.Is does not find fs.ErrNotExist")
		}
	})
	t.Run("file=directory", func(t *testing.T) {
		_, err := Load("testdata", nil, nil)
		wantFaults(t, err, "config: testdata: it is a directory; a regular file is expected; want a run file in YAML")
	})
	t.Run("file=below a file", func(t *testing.T) {
		_, err := Load("testdata/good.yaml/x", nil, nil)
		wantFaults(t, err, "config: testdata/good.yaml/x: not a directory; want a run file in YAML")
	})
	t.Run("file=large", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(file, make([]byte, maxSize+1), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, nil, nil)
		wantFaults(t, err,
			"config: "+file+": it has 64.0 KiB; at most 64 KiB is allowed for such a file; want a run file in YAML")
	})
	t.Run("file=long", func(t *testing.T) {
		_, err := load("x.yaml", []byte("model: m\ntrain: {\n"+strings.Repeat("# x\n", 300)), nil, nil)
		wantFaults(t, err, "config: x.yaml: is not YAML: line 302: did not find expected node content")
	})
	t.Run("file=empty", func(t *testing.T) {
		_, err := load("x.yaml", nil, nil, nil)
		wantFaults(t, err, "config: x.yaml: is empty; want the keys model, init_adapter, data, method, schedule, optim, "+
			"train, out, seed, paths")
	})
}

func TestLoad(t *testing.T) {
	dropout := 0.25
	columns := []string{"premise", "hypothesis"}
	paper := schedule.Default()
	paper.Resolve()
	want := &Config{
		Model: "models/roberta-base",
		Data: dataset.Config{
			Task: "custom", Train: "train.csv", Dev: "dev.csv",
			Text: columns, Label: "label", Labels: []string{"yes", "no"},
		},
		Method: adapter.Configure("lora",
			adapter.Values{"rank": 4, "alpha": 8, "dropout": dropout, "target_modules": columns}),
		Schedule: paper,
		Optim:    optim.Default(),
		Train: Train{Epochs: 5, BatchSize: 32, MicroBatchSize: 8, EvalBatchSize: 32, Reduction: ReduceTokens,
			Reduce: ReduceOrdered, Precision: Float32, Quantize: QuantizeNone, LogEvery: 10, KeepCheckpoints: 2},
		Out:   "models/roberta-base",
		Seed:  1<<64 - 1,
		Paths: PathsCWD,
	}
	got, err := Load("testdata/good.yaml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	text, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	windows := "\ufeff" + strings.ReplaceAll(string(text), "\n", "\r\n")
	got, err = load("x.yaml", []byte(windows), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("with a byte order mark and CRLF: -want +got:\n%s", d)
	}
}

// minimal is a valid run without a file.
var minimal = []string{"model=m", "data.task=rte", "data.dir=d", "out=o"}

func mustLoad(t *testing.T, file string, sets, environ []string) *Config {
	t.Helper()
	c, err := Load(file, sets, environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrecedence(t *testing.T) {
	// The environment of the test process must have no effect.
	t.Setenv("LOR2C_TRAIN_EPOCHS", "99")
	const file = "testdata/good.yaml" // epochs: 5
	env := []string{"LOR2C_TRAIN_EPOCHS=6"}
	for _, c := range []struct {
		name, file string
		sets, env  []string
		want       int
	}{
		{"default", "", minimal, nil, 10},
		{"file", file, nil, nil, 5},
		{"environment", file, nil, env, 6},
		{"environment empty", file, nil, []string{"LOR2C_TRAIN_EPOCHS="}, 5},
		{"set", file, []string{"train.epochs=7"}, env, 7},
		{"last set", file, []string{"train.epochs=7", "train.epochs=8"}, env, 8},
	} {
		t.Run("source="+c.name, func(t *testing.T) {
			if got := mustLoad(t, c.file, c.sets, c.env).Train.Epochs; got != c.want {
				t.Errorf("train.epochs is %d, want %d", got, c.want)
			}
		})
	}
	t.Run("value=null", func(t *testing.T) {
		c := mustLoad(t, file, []string{"method.dropout=null"}, nil)
		if got := c.Method.Value("dropout"); got != 0.05 {
			t.Errorf("null over 0.25 gives %v, want lora's own 0.05", got)
		}
	})
	t.Run("value=list", func(t *testing.T) {
		c := mustLoad(t, file, []string{"method.target_modules=[value]"}, nil)
		if d := cmp.Diff(any([]string{"value"}), c.Method.Value("target_modules")); d != "" {
			t.Errorf("a list is merged, not replaced: -want +got:\n%s", d)
		}
	})
	t.Run("value=one of a list", func(t *testing.T) {
		custom := "data: {task: custom, train: t.csv, dev: 0.25, text: review, label: y}\nmodel: m\nout: o\n"
		got, err := load("run.yaml", []byte(custom), []string{"method.target_modules=value"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]any{[]string{"review"}, []string{"value"}},
			[]any{got.Data.Text, got.Method.Value("target_modules")}); d != "" {
			t.Error(d)
		}
		// A fraction remains one when the resolved file is read again.
		again, err := load("run.yaml", got.YAML(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := again.Data.Dev.Fraction(); !ok || f != 0.25 || Differences(got, again) != nil {
			t.Errorf("data.dev is %v, differences %v", again.Data.Dev, Differences(got, again))
		}
	})
	t.Run("value=text", func(t *testing.T) {
		env := []string{"LOR2C_MODEL=a: b #1", "LOR2C_OUT=2024", "LOR2C_DATA_DIR='./~'", "LOR2C_SHARED=/x", "LOR2C_SYNC=1"}
		c := mustLoad(t, "", []string{"data.task=rte", "model=x=y"}, env)
		if c.Model != "x=y" || c.Out != "2024" || c.Data.Dir != "./~" {
			t.Errorf("got model %q, out %q, data.dir %q", c.Model, c.Out, c.Data.Dir)
		}
		c = mustLoad(t, "", minimal[1:], env)
		if c.Model != "a: b #1" {
			t.Errorf("got model %q", c.Model)
		}
	})
	t.Run("value=not UTF-8", func(t *testing.T) {
		_, err := Load("", minimal, []string{"LOR2C_DATA_TRAIN=\xff"})
		wantFaults(t, err, "config: LOR2C_DATA_TRAIN: is not UTF-8")
	})
	t.Run("value=two documents", func(t *testing.T) {
		_, err := Load("", append(minimal, "seed=1\n---\n2"), nil)
		wantFaults(t, err,
			`config: --set seed=1\n---\n2: is more than one YAML document; want an integer from 0 to 18446744073709551615`)
	})
}

// TestShippedFiles loads every run file of the repository. The files that they
// name need not exist.
func TestShippedFiles(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../../configs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		files++
		t.Run("file="+filepath.ToSlash(strings.TrimPrefix(path, "../../")),
			func(t *testing.T) { mustLoad(t, path, nil, nil) })
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("found %d files, %v", files, err)
	}
}

// TestTable1: each file of Table I has the method and the task in its name, and
// contains the command that runs it.
func TestTable1(t *testing.T) {
	lengths := map[string]int{"sst2": 256, "mrpc": 256, "cola": 256, "qnli": 256, "rte": 512, "stsb": 256}
	for task, length := range lengths {
		for method, want := range map[string]adapter.Config{
			"full": adapter.NewConfig("full"), "lora": adapter.NewConfig("lora"), "lor2c": adapter.NewConfig("lor2c"),
			"adapter16":  adapter.Configure("adapter", adapter.Values{"bottleneck": 16}),
			"adapter48":  adapter.NewConfig("adapter"),
			"adalora":    adapter.Configure("adalora", adapter.Values{"init_rank": 12, "target_rank": 8, "alpha": 16}),
			"dylora":     adapter.NewConfig("dylora"),
			"pissa":      adapter.Configure("pissa", adapter.Values{"alpha": 8, "dropout": 0.0}),
			"sharelor2c": adapter.Configure("lor2c", adapter.Values{"share": true}), "imlor2c": adapter.NewConfig("lor2c"),
		} {
			path := "configs/table1/" + method + "-" + task + ".yaml"
			t.Run("file="+path, func(t *testing.T) {
				text, err := os.ReadFile("../../" + path)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(text), "\n#   lor2c train -c "+path+"\n") {
					t.Error("the file does not say how to run it")
				}
				c := mustLoad(t, "../../"+path, nil, nil)
				want.Resolve()
				if !c.Method.Equal(want) || c.Schedule.Active() != (method == "imlor2c") {
					t.Errorf("method is %+v with schedule %+v", c.Method, c.Schedule)
				}
				if c.Data.Task != task || c.Data.MaxLength != length || c.Out != "runs/table1/"+method+"-"+task {
					t.Errorf("got %+v", c)
				}
			})
		}
	}
	if files, err := filepath.Glob("../../configs/table1/*.yaml"); err != nil || len(files) != 10*len(lengths) {
		t.Errorf("there are %d files, %v; want %d", len(files), err, 10*len(lengths))
	}
}

// TestMethodFiles: configs/methods has a run file for each method, which names the method and the command that trains
// it.
func TestMethodFiles(t *testing.T) {
	for _, name := range adapter.Names() {
		path := "configs/methods/" + name + ".yaml"
		text, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), "\n#   lor2c train -c "+path+"\n") {
			t.Errorf("%s does not say how to run it", path)
		}
		if c := mustLoad(t, "../../"+path, nil, nil); c.Method.Name() != name || c.Out != "runs/methods/"+name {
			t.Errorf("%s trains %s into %s", path, c.Method.Name(), c.Out)
		}
	}
}
