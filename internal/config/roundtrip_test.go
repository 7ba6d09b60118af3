package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/identity"
)

func TestYAMLReadsBack(t *testing.T) {
	tiny := 5e-324
	for name, change := range map[string]func(*Config){
		"default": func(c *Config) {},
		"texts": func(c *Config) {
			c.Model, c.Out = "null", "017"
			c.Data.Dir = " a: b #é\u2028"
			c.Method = c.Method.With(adapter.Values{
				"target_modules": []string{" a: b #\n\té\u2028\x07", "1e5", "true", "2024-01-01", "~", "", "<<", "*a", "- x"},
			})
		},
		"numbers": func(c *Config) {
			c.Seed = 1<<64 - 1
			c.Optim.LR, c.Optim.Eps, c.Optim.MaxGradNorm = 0.1+0.2, 5e-324, 1.7976931348623157e308
			c.Method = c.Method.With(adapter.Values{"dropout": tiny, "alpha": 1e21})
		},
	} {
		t.Run("config="+name, func(t *testing.T) {
			c := Default()
			c.Model, c.Out, c.Data.Task, c.Data.Dir = "m", "o", "rte", "d"
			change(&c)
			c.Resolve()
			file := filepath.Join(t.TempDir(), "run.yaml")
			if err := os.WriteFile(file, c.YAML(), 0o600); err != nil {
				t.Fatal(err)
			}
			got := mustLoad(t, file, nil, nil)
			if d := cmp.Diff(&c, got); d != "" {
				t.Errorf("-want +got:\n%s\nfrom\n%s", d, c.YAML())
			}
		})
	}
	t.Run("order", func(t *testing.T) {
		text, at := string(mustLoad(t, "", minimal, nil).YAML()), 0
		for _, k := range Keys() {
			if k.Methods != nil && !slices.Contains(k.Methods, "lor2c") {
				continue
			}
			i := strings.Index(text[at:], last(k.Name)+":")
			if i < 0 {
				t.Fatalf("%s is missing or out of order in\n%s", k.Name, text)
			}
			at += i
		}
	})
}

func TestDifferences(t *testing.T) {
	for _, l := range runFile.leaves {
		t.Run("key="+l.name, func(t *testing.T) {
			a, b := Default(), Default()
			a.Resolve()
			b.Resolve()
			value, text := other(l)
			if l.ofMethods() {
				a.Method, b.Method = adapter.NewConfig(l.meanings[0].methods[0]), adapter.NewConfig(l.meanings[0].methods[0])
				a.Resolve()
				b.Resolve()
			}
			field, _ := l.get(&b)
			was := inline(field.Interface())
			l.set(&b, value)
			if l.typ.Kind() == reflect.String {
				text = `"` + text + `"`
			}
			want := []identity.Difference{{Name: l.name, Was: was, Now: text}}
			switch l.name {
			case "out", "paths", "data.test", "train.log_every", "train.save_every", "train.keep_checkpoints":
				want = nil
			}
			if d := cmp.Diff(want, Differences(&a, &b)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	t.Run("compared=resolved", func(t *testing.T) {
		a, b := Default(), Default()
		b.Resolve()
		if d := Differences(&a, &b); d != nil {
			t.Errorf("got %v, want none", d)
		}
		if a.Train.MicroBatchSize != 0 || a.Method.Value("inject_rank") != 0 {
			t.Error("Differences changed its argument")
		}
	})
	t.Run("text", func(t *testing.T) {
		a, b := Default(), Default()
		a.Model, b.Train.Epochs, b.Optim.LR = "m", 5, 1e-5
		b.Method = b.Method.With(adapter.Values{"target_modules": nil})
		want := []identity.Difference{
			{Name: "model", Was: "m", Now: `""`},
			{Name: "method.target_modules", Was: "[query, value]", Now: "[]"},
			{Name: "optim.lr", Was: "0.001", Now: "1e-05"},
			{Name: "train.epochs", Was: "10", Now: "5"},
		}
		if d := cmp.Diff(want, Differences(&a, &b)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}

// TestSettings compares the keys that must not change when a run is continued
// with this list of those that may. So a new key is compared unless somebody
// decides otherwise.
func TestSettings(t *testing.T) {
	free := []string{
		"model", "init_adapter", "data.dir", "data.train", "data.dev", "data.test", "data.text", "data.label", "data.kind",
		"data.labels", "data.separator",
		"train.log_every", "train.save_every", "train.keep_checkpoints", "out", "paths",
	}
	a := Default()
	was := a.Settings()
	for _, l := range runFile.leaves {
		b := Default()
		b.Resolve()
		value, text := other(l)
		if l.ofMethods() {
			b.Method = adapter.NewConfig(l.meanings[0].methods[0])
			b.Resolve()
		}
		l.set(&b, value)
		now, compared := b.Settings()[l.name]
		if compared == slices.Contains(free, l.name) {
			t.Errorf("%s: compared is %v", l.name, compared)
		}
		if l.typ.Kind() == reflect.String {
			text = `"` + text + `"`
		}
		if compared && (now != text || was[l.name] == now) {
			t.Errorf("%s: is %s, was %s; want %s", l.name, now, was[l.name], text)
		}
	}
}

// FuzzLoad: every input is either refused with whole lines, or gives a run that
// its own YAML reproduces.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "seed=1", "2")
	}
	f.Add([]byte("{model: m, data: {task: rte, dir: d}, out: o}"), "method.dropout=~", "0.5")
	f.Add([]byte("{model: m, data: {task: rte, dir: d}, out: o}"), "method.target_modules=[a]", "'x'")
	f.Fuzz(func(t *testing.T, text []byte, set, value string) {
		environ := []string{"LOR2C_OPTIM_LR=" + value, "LOR2C_OUT=" + value}
		c, err := load("x.yaml", text, []string{set}, environ)
		if err != nil {
			var all *Error
			if !errors.As(err, &all) || len(all.Faults) == 0 {
				t.Fatalf("got %v, want an *Error with faults", err)
			}
			for _, f := range all.Faults {
				if !strings.HasPrefix(f.Error(), "config: ") || strings.ContainsAny(f.Error(), "\n\r") {
					t.Errorf("%q is not one line of config", f)
				}
			}
			return
		}
		again, err := load("y.yaml", c.YAML(), nil, nil)
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, c.YAML())
		}
		if d := cmp.Diff(c, again); d != "" {
			t.Errorf("-first +again:\n%s\nfrom\n%s", d, c.YAML())
		}
	})
}
