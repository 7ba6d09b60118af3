package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestKeys: a run file has these keys, with these types and defaults. TestMethodsOfKeys covers the keys of methods.
func TestKeys(t *testing.T) {
	want := `
model: a path
init_adapter: a path
data.task: a string
data.dir: a path
data.train: a path
data.dev: a path, or a number more than 0 and less than 1
data.test: a path
data.text: a list of strings, for example [a, b] = []
data.label: a string
data.kind: a string
data.labels: a list of strings, for example [a, b] = []
data.separator: a string
data.threshold: a number, or 0.5
data.metric: a string
data.max_length: an integer, or 256, and 512 for rte
data.format: a string
data.template: a string
data.train_on_inputs: true or false = false
data.parse_special: true or false = false
data.order: a string
method.name: a string = lor2c
schedule.preset: a string = paper
schedule.max_merges: an integer = 0
schedule.max_injects: an integer = 0
schedule.timing: a string
schedule.score: a string
schedule.sfs_k: an integer, or 2
schedule.merge_select: a string
schedule.keep: a string
schedule.inject_select: a string
schedule.max_span: an integer = 0
schedule.adjacency: a string
schedule.on_conflict: a string
schedule.until: a number, or 0.5 for preset paper and 1 for release
schedule.evaluate: a string
schedule.moments: a string
schedule.changed: a string
schedule.what_if: an integer = 0
optim.lr: a number, or that of the method, 1e-3 for lor2c
optim.head_lr_ratio: a number = 5
optim.weight_decay: a number = 0.01
optim.beta1: a number = 0.9
optim.beta2: a number = 0.999
optim.eps: a number = 1e-08
optim.warmup_ratio: a number = 0.06
optim.warmup_steps: an integer, or by optim.warmup_ratio
optim.schedule: a string = linear
optim.max_grad_norm: a number = 1
train.epochs: an integer = 10
train.extend_epochs: a list of integers, for example [2, 1] = []
train.max_steps: an integer = 0
train.batch_size: an integer = 16
train.micro_batch_size: an integer, or train.batch_size
train.micro_batch_tokens: an integer = 0
train.eval_batch_size: an integer, or train.batch_size
train.eval_every: an integer = 0
train.early_stopping: an integer = 0
train.min_delta: a number = 0
train.class_weights: balanced, or a list of numbers, for example [1, 2.5] = []
train.label_smoothing: a number = 0
train.reduction: a string = tokens
train.reduce: a string = ordered
train.precision: a string = float32
train.quantize: a string = none
train.log_every: an integer = 10
train.save_every: an integer = 0
train.keep_checkpoints: an integer = 2
train.log_gradients: true or false = false
out: a path
seed: an integer from 0 to 18446744073709551615 = 17
paths: a string = cwd
`
	var got strings.Builder
	for _, k := range Keys() {
		if k.Doc == "" || strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: doc is %q", k.Name, k.Doc)
		}
		if strings.HasPrefix(k.Name, "method.") && k.Name != methodName {
			continue
		}
		fmt.Fprintf(&got, "\n%s: %s", k.Name, k.Type)
		if k.Default != "" {
			fmt.Fprintf(&got, " = %s", k.Default)
		}
		if k.Unset != "" {
			fmt.Fprintf(&got, ", or %s", k.Unset)
		}
	}
	if d := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got.String())); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestMethodsOfKeys: every key that a method takes is in the list once for that method, with the method's own default,
// and no key outside the method section and the schedule depends on the method.
func TestMethodsOfKeys(t *testing.T) {
	seen := map[string]int{}
	for _, k := range Keys() {
		section, key, _ := strings.Cut(k.Name, ".")
		if depends := k.Name != methodName && (section == "method" || section == "schedule"); depends != (k.Methods != nil) {
			t.Errorf("%s is for %q", k.Name, k.Methods)
		}
		for _, method := range k.Methods {
			if section != "method" {
				continue
			}
			seen[method+"."+key]++
			want := inline(adapter.NewConfig(method).Value(key))
			if k.Unset != "" {
				want = "" // in words
			}
			if k.Default != want && want != `""` {
				t.Errorf("%s has the default %s for %s; want %s", k.Name, k.Default, method, want)
			}
		}
	}
	for _, method := range adapter.Names() {
		for _, key := range adapter.Keys(method) {
			if n := seen[method+"."+key]; n != 1 {
				t.Errorf("method.%s stands in the list %d times for %s; want once", key, n, method)
			}
		}
	}
}

// other returns a value of l's field that is not the default, and its text.
func other(l leaf) (reflect.Value, string) {
	switch v := reflect.New(l.typ).Elem(); {
	case l.typ.Kind() == reflect.String:
		v.SetString("x " + l.name)
		return v, v.String()
	case l.typ.Kind() == reflect.Bool:
		v.SetBool(l.meanings[0].initial == false)
		return v, fmt.Sprint(v.Bool())
	case l.typ.Kind() == reflect.Int:
		v.SetInt(1234)
		return v, "1234"
	case l.typ.Kind() == reflect.Uint64:
		v.SetUint(1234)
		return v, "1234"
	case l.typ.Kind() == reflect.Float64:
		v.SetFloat(0.125)
		return v, "0.125"
	case l.typ == reflect.TypeFor[[]int]():
		return reflect.ValueOf([]int{1, 234}), "[1, 234]"
	case l.typ.Kind() == reflect.Slice && l.typ.Elem() == reflect.TypeFor[Weight]():
		return reflect.ValueOf([]Weight{"1.5", "2"}), "[1.5, 2]"
	case l.typ == reflect.TypeFor[[]string]():
		return reflect.ValueOf([]string{"x", l.name}), "[x, " + l.name + "]"
	}
	panic("a key of type " + l.typ.String())
}

// TestEveryKeyFromEverySource sets one key at a time from each source. Only
// that field may change.
func TestEveryKeyFromEverySource(t *testing.T) {
	names := map[string]string{}
	for _, other := range []string{"SHARED", "SYNC", "GRAPHS", "LIBCUDA", "REQUIRE_GPU", "HOST_SEED", "HOST_FAST"} {
		names["LOR2C_"+other] = "other"
	}
	for _, l := range runFile.leaves {
		t.Run("key="+l.name, func(t *testing.T) {
			if was := names[l.env()]; was != "" {
				t.Errorf("%s is taken by %s", l.env(), was)
			}
			names[l.env()] = l.name
			value, text := other(l)
			want := Default()
			file := text
			for _, part := range slices.Backward(strings.Split(l.name, ".")) {
				file = "{" + part + ": " + file + "}"
			}
			var name []given // of a method that takes the key
			if l.ofMethods() {
				want.Method = adapter.NewConfig(l.meanings[0].methods[0])
				name = []given{{leaf: runFile.byName[methodName], value: reflect.ValueOf(want.Method.Name())}}
			}
			l.set(&want, value)
			fromFile, faults := runFile.parseFile("x", []byte(file))
			fromEnv, more := runFile.parseEnv([]string{l.env() + "=" + text})
			faults = append(faults, more...)
			fromSets, more := runFile.parseSets([]string{l.name + "=" + text})
			faults = append(faults, more...)
			if err := asError(faults); err != nil {
				t.Fatal(err)
			}
			for source, c := range map[string]*Config{
				"file":        first(layer(append(name, fromFile...), nil, nil)),
				"environment": first(layer(name, fromEnv, nil)),
				"set":         first(layer(name, nil, fromSets)),
			} {
				if d := cmp.Diff(&want, c); d != "" {
					t.Errorf("source=%s: -want +got:\n%s", source, d)
				}
			}
		})
	}
}

func first(c *Config, _ map[string]origin, _ []*Fault) *Config { return c }

// TestSchema checks that the package panics for structs that it cannot read.
func TestSchema(t *testing.T) {
	type noTag struct{ LR float64 }
	type upperCase struct {
		LR float64 `yaml:"LR"`
	}
	type strange struct {
		Steps map[string]int `yaml:"steps"`
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[noTag](), reflect.TypeFor[upperCase](),
		reflect.TypeFor[strange]()} {
		t.Run("type="+typ.Name(), func(t *testing.T) {
			defer func() {
				b, ok := recover().(Bug)
				if !ok || !strings.HasPrefix(b.Error(), "config: schema: ") {
					t.Errorf("recovered %v, want a Bug of schema", b)
				}
			}()
			newSchema(typ, reflect.Zero(typ))
		})
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"model", "data.dir", "method.rank", "optim.lr", "train.epochs", "out"}
	for name, want := range map[string]string{
		"method.rnak": "method.rank",
		"METHOD.RANK": "method.rank",
		"metod.rank":  "method.rank",
		"train.rank":  "method.rank",
		"train.ranks": "method.rank",
		"rank":        "method.rank",
		"optimm.lr":   "optim.lr",
		"optim.l":     "optim.lr",
		"ot":          "out",
		// Two edits lead from any short name to any other, and so does one edit with
		// another section.
		"optim.xy": "",
		"oxx":      "",
		"data.l":   "",
		"data.dri": "",
		"":         "",
		"method":   "",
	} {
		t.Run("key="+name, func(t *testing.T) {
			if got := nearest(name, keys); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
