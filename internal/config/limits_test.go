package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// one returns the only fault of loading a minimal run with sets and environ.
func one(t *testing.T, sets, environ []string) string {
	t.Helper()
	_, err := Load("", append(append([]string{}, minimal...), sets...), environ)
	var all *Error
	if !errors.As(err, &all) || len(all.Faults) != 1 {
		t.Fatalf("got error %v, want one fault", err)
	}
	return all.Faults[0].Error()
}

func TestUnknownVariables(t *testing.T) {
	const list = "no key has this variable; lor2c help config lists the keys, and LOR2C_SECTION_KEY sets one"
	for variable, want := range map[string]string{
		"LOR2C_TRAIN_EPOCH":   "no key has this variable; did you mean LOR2C_TRAIN_EPOCHS?",
		"LOR2C_TRIAN_EPOCHS":  "no key has this variable; did you mean LOR2C_TRAIN_EPOCHS?",
		"LOR2C_EPOCHS":        "no key has this variable; did you mean LOR2C_TRAIN_EPOCHS?",
		"LOR2C_BATCH_SIZE":    "no key has this variable; did you mean LOR2C_TRAIN_BATCH_SIZE?",
		"LOR2C_TRAIN__EPOCHS": "no key has this variable; did you mean LOR2C_TRAIN_EPOCHS?",
		"lor2c_train_epochs":  "no key has this variable; did you mean LOR2C_TRAIN_EPOCHS?",
		"LOR2C_LEARNING_RATE": "no key has this variable; did you mean LOR2C_OPTIM_LR?",
		"LOR2C_":              list,
		"LOR2C_SYNCH":         list,
		"LOR2C_WHATEVER":      list,
	} {
		t.Run("variable="+variable, func(t *testing.T) {
			if got := one(t, nil, []string{variable + "=1"}); got != "config: "+variable+": "+want {
				t.Errorf("got %s", got)
			}
		})
	}
	mustLoad(t, "", minimal, []string{"LOR2C=1", "LOR2C_SYNC=1", "LOR2C_HOST_SEED=3", "LOR2C_NONE=", "XLOR2C_A=1"})
}

// TestOtherVariables compares the list of variables with other readers with the
// names in the sources.
func TestOtherVariables(t *testing.T) {
	name := regexp.MustCompile(`LOR2C_[A-Z][A-Z0-9_]*`)
	root := filepath.Join("..", "..")
	found := map[string]bool{}
	for _, dir := range []string{"cmd", "internal", "kernels", "Makefile", ".ci"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.Contains(path, filepath.Join("internal", "config")) ||
				strings.Contains(path, "build") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, n := range name.FindAllString(string(text), -1) {
				found[strings.TrimRight(n, "_")] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]bool{}
	for _, k := range Keys() {
		keys[k.Env] = true
	}
	used := map[string]bool{}
	for n := range found {
		if n == "LOR2C_SECTION_KEY" || keys[n] {
			continue
		}
		if !foreign(n) && !foreign(n+"_") {
			t.Errorf("%s is in the sources but not in the list of variables with other readers", n)
		}
		for o := range others {
			used[o] = used[o] || strings.HasPrefix(n+"_", strings.TrimSuffix(o, "_")+"_")
		}
	}
	for o := range others {
		if !used[o] {
			t.Errorf("%s is in the list but in no source", o)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	t.Setenv("DATA", "/data")
	for path, want := range map[string]string{
		"~":             `begins with "~", which only a shell expands; want the path written out, such as "/home/u"`,
		"~/m":           `begins with "~", which only a shell expands; want the path written out, such as "/home/u/m"`,
		"~ann/m":        `begins with "~ann", which only a shell expands; want the path written out`,
		"$DATA/m":       `holds "$DATA", which only a shell expands; want the path written out, such as "/data/m"`,
		"a/${DATA}/m":   `holds "${DATA}", which only a shell expands; want the path written out, such as "a//data/m"`,
		"$NONE_OF_IT/m": `holds "$NONE_OF_IT", which only a shell expands; want the path written out`,
		"$(pwd)/m":      `holds "$(", which only a shell expands; want the path written out`,
		"./~/m":         "",
		"a~b":           "",
		"cost$/m":       "",
		"a\x1b[31mb":    `is "a\x1b[31mb", which holds a control character; want a path of one line`,
		"a\nb/m":        `is "a\nb/m", which holds a control character; want a path of one line`,
		"a$/b":          "",
	} {
		t.Run("path="+path, func(t *testing.T) {
			got := ""
			if err := CheckPath(path); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	const what = `begins with "~", which only a shell expands; want the path written out, such as "/home/u/m"`
	for _, k := range Keys() {
		if !k.Path {
			continue
		}
		t.Run("key="+k.Name, func(t *testing.T) {
			if got := one(t, []string{k.Name + "=~/m"}, nil); got != "config: --set "+k.Name+"=~/m: "+what {
				t.Errorf("set: %s", got)
			}
			if got := one(t, nil, []string{k.Env + "=~/m"}); got != "config: "+k.Env+": "+what {
				t.Errorf("environment: %s", got)
			}
		})
	}
	_, err := load("x.yaml", []byte("model: ~/m\ndata: {task: rte, dir: $DATA}\nout: o\n"), nil, nil)
	wantFaults(t, err, "config: x.yaml:1:1: model: "+what+"\n"+
		`config: x.yaml:2:19: data.dir: holds "$DATA", which only a shell expands; want the path written out, such as "/data"`)
	_, err = Load("~/run.yaml", nil, nil)
	wantFaults(t, err,
		`config: ~/run.yaml: begins with "~", which only a shell expands; want the path written out, such as "/home/u/run.yaml"`)
}

func TestLeadingZeros(t *testing.T) {
	for _, set := range []string{"seed=010", "train.epochs=08", "optim.lr=007", "method.dropout=00",
		"train.save_every=-010", "seed=0_1"} {
		t.Run("set="+set, func(t *testing.T) {
			_, value, _ := strings.Cut(set, "=")
			want := "config: --set " + set + ": is " + value +
				", which YAML reads as an octal number; want it without the leading zero"
			if got := one(t, []string{set}, nil); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	c := mustLoad(t, "",
		append([]string{"seed=0", "out=010", "train.save_every=10", "optim.lr=0.5", "method.dropout=0"}, minimal[:3]...), nil)
	if c.Seed != 0 || c.Out != "010" || c.Train.SaveEvery != 10 || c.Optim.LR != 0.5 || c.Method.Value("dropout") != 0.0 {
		t.Errorf("got %+v", c)
	}
}

// TestOtherBases: numbers in other bases are faults, whatever source they come
// from.
func TestOtherBases(t *testing.T) {
	for _, value := range []string{"0x10", "0X10", "-0x1", "0b11", "0o17", "+0x10"} {
		t.Run("value="+value, func(t *testing.T) {
			want := "is " + value + ", which is not a decimal number; want decimal digits"
			if got := one(t, nil, []string{"LOR2C_TRAIN_EPOCHS=" + value}); got != "config: LOR2C_TRAIN_EPOCHS: "+want {
				t.Errorf("environment: %s", got)
			}
			if got := one(t, []string{"optim.lr=" + value}, nil); got != "config: --set optim.lr="+value+": "+want {
				t.Errorf("set: %s", got)
			}
			_, err := load("x.yaml", []byte("model: m\ndata: {task: rte, dir: d}\nout: o\nseed: "+value+"\n"), nil, nil)
			wantFaults(t, err, "config: x.yaml:4:1: seed: "+want)
		})
	}
	c := mustLoad(t, "", append([]string{"out=0x10"}, minimal[:3]...), nil)
	if c.Out != "0x10" {
		t.Errorf("out is %q", c.Out)
	}
}

// TestElsewhere: for every name that another program uses, the error suggests a
// key that exists, at the top of a file and inside a section.
func TestElsewhere(t *testing.T) {
	for name, key := range elsewhere {
		for _, at := range []string{name, "train." + name, strings.ReplaceAll(name, "_", "-")} {
			if got, want := one(t, []string{at + "=1"}, nil), "config: --set "+at+"=1: unknown key; did you mean "+key+
				"?"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
}

func TestListsWithoutBrackets(t *testing.T) {
	for text, want := range map[string][]string{
		"question,answer":       {"question", "answer"},
		"review":                {"review"},
		" a , b c ":             {"a", "b c"},
		"0,1":                   {"0", "1"},
		"[question, answer]":    {"question", "answer"},
		`"a,b"`:                 {"a,b"},
		`["text 1", 'text, 2']`: {"text 1", "text, 2"},
	} {
		t.Run("text="+text, func(t *testing.T) {
			c := mustLoad(t, "", append([]string{"method.target_modules=" + text}, custom...), nil)
			if d := cmp.Diff(any(want), c.Method.Value("target_modules")); d != "" {
				t.Errorf("set: -want +got:\n%s", d)
			}
			c = mustLoad(t, "", custom, []string{"LOR2C_METHOD_TARGET_MODULES=" + text})
			if d := cmp.Diff(any(want), c.Method.Value("target_modules")); d != "" {
				t.Errorf("environment: -want +got:\n%s", d)
			}
		})
	}
	c, err := load("x.yaml", []byte("data: {text: review}"), custom[:len(custom)-1], nil)
	if err != nil || cmp.Diff([]string{"review"}, c.Data.Text) != "" {
		t.Errorf("a plain word in a file: %v, %v", c, err)
	}
}

// custom is a valid run on files of the user, without a run file.
var custom = []string{"model=m", "out=o", "data.task=custom", "data.train=t.csv", "data.label=l", "data.text=t"}

// TestManyFaults: malicious files neither print more than a person can read nor
// take longer than a person can wait.
func TestManyFaults(t *testing.T) {
	var unknown, twice, aliases, nested strings.Builder
	twice.WriteString("data: &d {labels: [" + strings.Repeat("a,", 10000) + "b]}\n")
	aliases.WriteString("x0: &x0 [a, a]\n")
	for i := range 3000 {
		fmt.Fprintf(&unknown, "unknown_key_%d: 1\n", i)
		fmt.Fprintf(&twice, "data: *d\n")
	}
	for i := range 500 {
		fmt.Fprintf(&aliases, "x%d: &x%d [%s]\n", i+1, i+1,
			strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d,", i), 9), ","))
	}
	nested.WriteString("data: {labels: " + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + "}")
	for name, text := range map[string]string{
		"unknown": unknown.String(), "twice": twice.String(), "aliases": aliases.String(), "nested": nested.String(),
		"long value": "seed: " + strings.Repeat("x", 60000), "long key": strings.Repeat("k", 60000) + ": 1",
		"long list": "data: {task: [" + strings.Repeat("a,", 20000) + "]}",
	} {
		t.Run("file="+name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				_, err := load("x.yaml", []byte(text), nil, nil)
				done <- err
			}()
			var err error
			select {
			case err = <-done:
			case <-time.After(time.Minute): // this detects a hang and measures nothing
				t.Fatal("still reading")
			}
			var all *Error
			if !errors.As(err, &all) {
				t.Fatalf("got %v, want an *Error", err)
			}
			lines := strings.Split(all.Error(), "\n")
			if len(lines) > maxFaults+1 {
				t.Errorf("%d lines; want at most %d", len(lines), maxFaults+1)
			}
			for _, line := range lines {
				if len(line) > 400 {
					t.Errorf("a line of %d bytes: %.100s...", len(line), line)
				}
			}
			if last := lines[len(lines)-1]; name == "unknown" && last != "config: and 2980 more" {
				t.Errorf("the last line is %q", last)
			}
		})
	}
	if got := one(t, []string{"seed=" + strings.Repeat("x", 100000)}, nil); len(got) > 400 {
		t.Errorf("--set: a line of %d bytes", len(got))
	}
	if got := one(t, nil, []string{"LOR2C_" + strings.Repeat("X", 100000) + "=1"}); len(got) > 400 {
		t.Errorf("environment: a line of %d bytes", len(got))
	}
}
