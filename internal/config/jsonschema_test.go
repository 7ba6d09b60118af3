package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// compiled returns JSONSchema as a validator. Compiling checks it against the
// meta-schema of its draft.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("run.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("run.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refusals returns the keys of a run file that s refuses, sorted, such as
// "train.epochs". For an unknown key it returns the section.
func refusals(t *testing.T, s *jsonschema.Schema, text string) (keys []string) {
	t.Helper()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	err := s.Validate(document)
	var invalid *jsonschema.ValidationError
	if err != nil && !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		// A value that fits no alternative has a cause for each of them.
		if len(e.Causes) == 0 || len(e.InstanceLocation) == 2 {
			keys = append(keys, strings.Join(e.InstanceLocation, "."))
			return
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	if invalid != nil {
		collect(invalid)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestSchemaAcceptsRunFiles: the schema accepts every run file of the
// repository, its form in a run directory, and the defaults and examples of all
// keys.
func TestSchemaAcceptsRunFiles(t *testing.T) {
	s := compiled(t)
	files := 0
	err := filepath.WalkDir("../../configs", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		schema, found := strings.CutPrefix(line, "# yaml-language-server: $schema=")
		if filepath.Join(filepath.Dir(path), schema) != filepath.Clean("../../docs/run.schema.json") || !found {
			t.Errorf("%s begins with %q; want the path of the schema", path, line)
		}
		if keys := refusals(t, s, string(text)); keys != nil {
			t.Errorf("%s: the schema refuses %q", path, keys)
		}
		c := mustLoad(t, path, nil, nil)
		if keys := refusals(t, s, string(c.YAML())); keys != nil {
			t.Errorf("%s: the schema refuses %q of the resolved file", path, keys)
		}
		return nil
	})
	if err != nil || files < 30 {
		t.Errorf("found %d files, %v", files, err)
	}
	for _, k := range Keys() {
		for _, value := range append([]string{k.Default, k.Example}, k.Values...) {
			if value == "" {
				continue
			}
			if keys := refusals(t, s, nested(k.Name, value)); keys != nil {
				t.Errorf("the schema refuses %s: %s", k.Name, value)
			}
		}
	}
}

// nested returns a run file with one key.
func nested(name, value string) string {
	for _, part := range slices.Backward(strings.Split(name, ".")) {
		value = "{" + part + ": " + value + "}"
	}
	return value
}

// TestSchemaAndLoad: for one key at a time, the schema and Load both accept a
// value, or both refuse it.
func TestSchemaAndLoad(t *testing.T) {
	s := compiled(t)
	base := map[string]string{
		"model": "m", "out": "o", "data.task": "custom", "data.train": "t.csv", "data.text": "t", "data.label": "l",
	}
	for _, tt := range []struct{ key, good, bad string }{
		{"model", "m|a/b|'./~'", "''|~/m|$HOME/m|5|null|[a]"},
		{"data.task", "custom", "''|imdb|null|1"},
		{"data.train", "t.csv|./t.csv", "~/t.csv|'${X}/t.csv'|7"},
		// Whole numbers are rows of task instruct; the schema does not tell the tasks apart.
		{"data.dev", "d.csv|0.2|''", "0|1.5|-0.1|[a]|~/d.csv|true"},
		{"data.text", "t|[t]|[a, b]", "{a: b}|[1]|5|true"},
		{"data.labels", "[a, b]|['0', '1']", "[0, 1]|[true, false]|3"},
		{"data.kind", "''|classification|regression", "ranking|1"},
		{"data.max_length", "null|5|512", "0|-1|4|5.5|long"},
		{"method.name", "lora|lor2c|head|full", "qlora|''|[lora]"},
		{"method.rank", "1|256", "0|257|8.5|'8'|null"},
		{"method.alpha", "16|0.5", "0|-1|.inf"},
		{"method.dropout", "0|0.5|null", "1|-0.1|[0.1]"},
		{"method.target_modules", "query|[query, value]|[q_proj, v_proj]", "1|[1]|{query: 1}"},
		{"schedule.keep", "richer|''", "both"},
		{"schedule.preset", "release", "''|authors"},
		{"schedule.until", "null|0.5|1", "0|1.1|-1"},
		{"optim.lr", "null|1e-4|1", "0|-1|'1e-4'"},
		{"optim.beta1", "0|0.99", "1"},
		{"optim.eps", "1e-9", "0"},
		{"train.epochs", "1|100000", "0|100001"},
		{"train.extend_epochs", "2|[1, 2]|[]", "0|[1, 0]|a"},
		{"train.class_weights", "balanced|[balanced]|[1, 2.5]|[]", "even|[0, 1]|[balanced, balanced]|[balanced, 1]|true"},
		{"train.label_smoothing", "0|0.1", "1"},
		{"train.log_gradients", "true", "yes|1|'true'"},
		{"seed", "0|18446744073709551615", "-1|1.5|18446744073709551616"},
		{"paths", "cwd", "home|''"},
		{"data", "null", "rte|[]|{nonsense: 1}"},
		{"nonsense", "", "1|{a: 1}"},
		{"optim.rate", "", "1"},
	} {
		for i, list := range []string{tt.good, tt.bad} {
			for _, value := range strings.Split(list, "|") {
				if list == "" {
					continue
				}
				t.Run(tt.key+"="+value, func(t *testing.T) {
					text := nested(tt.key, value)
					if keys := refusals(t, s, text); (keys != nil) != (i == 1) {
						t.Errorf("the schema refuses %q", keys)
					}
					var sets []string
					for key, value := range base {
						if key != tt.key {
							sets = append(sets, key+"="+value)
						}
					}
					if tt.key == "method.rank" || tt.key == "method.alpha" {
						sets = append(sets, "method.name=lora")
					}
					if _, err := load("x.yaml", []byte(text), sets, nil); (err != nil) != (i == 1) {
						t.Errorf("Load returns %v", err)
					}
				})
			}
		}
	}
}

// TestSchemaRefusesBadFiles: in the bad files of testdata the schema refuses
// the keys whose own values are wrong.
func TestSchemaRefusesBadFiles(t *testing.T) {
	s := compiled(t)
	for file, want := range map[string]string{
		"unknown_key":       " data method schedule",
		"section_is_scalar": "data method optim",
		"list_at_top":       "",
		"wrong_type": "data.labels data.task method.dropout method.rank method.share method.target_modules model " +
			"optim.beta1 " +
			"optim.eps optim.lr optim.max_grad_norm optim.weight_decay out seed " +
			"train.batch_size train.epochs train.save_every",
		"values": " method.rank optim.lr optim.schedule out schedule.keep train.epochs train.eval_batch_size " +
			"train.keep_checkpoints train.log_every train.precision train.save_every",
	} {
		t.Run("file="+file, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + file + ".bad.yaml")
			if err != nil {
				t.Fatal(err)
			}
			keys := refusals(t, s, string(text))
			if got := strings.Join(keys, " "); got != want || keys == nil {
				t.Errorf("the schema refuses\n%s\nwant\n%s", got, want)
			}
		})
	}
}
