package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/predict"
)

// answered is an answer to POST /predict as a client reads it.
type answered struct {
	Adapter     string
	Predictions []struct {
		Label         string
		Labels        []string
		Probabilities map[string]float32
		Value         *float32
		Truncated     bool
	}
}

func decode(t *testing.T, r reply) (a answered) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &a); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return a
}

// command returns what lor2c predict writes for texts, as rows of JSON lines.
func command(t *testing.T, dir string, texts []string) (rows []map[string]any) {
	t.Helper()
	in := dataset.Texts{Path: "-", Stdin: strings.NewReader(strings.Join(texts, "\n") + "\n"), Format: dataset.Lines,
		Text: []string{"text"}}
	lines, err := dataset.OpenRows(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	job := &predict.Job{Rows: lines, Model: predictorOf(t, cpu.Open[float32](1), dir)[0], Names: []string{""}}
	if _, err := job.Write(context.Background(), &b, predict.JSONL); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestPredict: concurrent requests of one to several texts, for two adapters on one base model, get the labels and the
// probabilities that lor2c predict writes, to the bit. With OpenBLAS, whose sums depend on the rows that are multiplied
// together, they are close.
func TestPredict(t *testing.T) {
	dirs := []string{drawn(t, "lor2c", 1, nouns), drawn(t, "lora", 2, nouns)}
	list := texts(t, 40)
	want := map[string][]map[string]any{"a": command(t, dirs[0], list), "b": command(t, dirs[1], list)}
	near := 0.0
	if cpu.BLAS() == "openblas" {
		near = 1e-5
	}
	url := start(t, labelServer(t, limits(t), dirs...)) + "/predict"
	var all sync.WaitGroup
	for i := range 48 {
		all.Go(func() {
			name, from := string(rune('a'+i%2)), i*7%len(list)
			part := list[from:min(len(list), from+1+i%11)]
			r := send(t, http.MethodPost, url, body(t, map[string]any{"texts": part, "adapter": name}))
			if r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body)
				return
			}
			a := decode(t, r)
			if a.Adapter != name || len(a.Predictions) != len(part) {
				t.Errorf("%d predictions of %s; want %d of %s", len(a.Predictions), a.Adapter, len(part), name)
				return
			}
			for j, p := range a.Predictions {
				row := want[name][from+j]
				if p.Label != row["prediction"] && near == 0 {
					t.Errorf("text %d: %s; predict writes %v", from+j, p.Label, row["prediction"])
				}
				for label, got := range p.Probabilities {
					if d := math.Abs(float64(got - float32(row["p_"+label].(float64)))); d > near {
						t.Errorf("text %d: p_%s is %v; predict writes %v", from+j, label, got, row["p_"+label])
					}
				}
			}
		})
	}
	all.Wait()
	if strings.Index(send(t, http.MethodPost, url, `{"texts":["x"]}`).body, `"thing":`) > strings.Index(
		send(t, http.MethodPost, url, `{"texts":["x"]}`).body, `"animal":`) {
		t.Error("the labels are not in the order of the adapter")
	}
}

// TestTexts: a text is a string, a pair two strings or an object with the columns of the training data, and all forms
// get the same prediction. A number is predicted without labels. A text that is cut says so.
func TestTexts(t *testing.T) {
	pairs := start(t, labelServer(t, limits(t), drawn(t, "lora", 3, entails)))
	r := send(t, http.MethodPost, pairs+"/predict", `{"texts":[["a dog","a cat"],
		{"hypothesis":"a cat","premise":"a dog","url":7}]}`)
	a := decode(t, r)
	if fmt.Sprint(a.Predictions[0]) != fmt.Sprint(a.Predictions[1]) || len(a.Predictions[0].Probabilities) != 2 {
		t.Errorf("the two forms of a pair differ: %s", r.body)
	}
	send(t, http.MethodPost, pairs+"/predict", `{"texts":["a dog"]}`).expect(t, http.StatusBadRequest,
		`texts[0] is one text, and the adapter "a" was trained on pairs, premise, hypothesis; want two strings`)
	send(t, http.MethodPost, pairs+"/predict", `{"texts":[{"premise":"x"}]}`).expect(t, http.StatusBadRequest,
		`texts[0] has no column "hypothesis"`)

	numbers := start(t, labelServer(t, limits(t), drawn(t, "lora", 4, scored)))
	long := strings.Repeat("a dog and a cat ", 100)
	r = send(t, http.MethodPost, numbers+"/predict", body(t, map[string]any{"texts": []any{"", long}}))
	a = decode(t, r)
	if p := a.Predictions; p[0].Value == nil || p[0].Label != "" || p[0].Truncated || !p[1].Truncated {
		t.Errorf("want two numbers, the second of a text that was cut: %s", r.body)
	}
	none := send(t, http.MethodPost, numbers+"/predict", `{"texts":[]}`)
	if none.body != `{"adapter":"a","predictions":[]}`+"\n" {
		t.Errorf("no texts: %d %s", none.status, none.body)
	}
}

// TestSeveralLabels: an adapter whose texts have any number of labels lists those that lor2c predict writes.
func TestSeveralLabels(t *testing.T) {
	dir := drawn(t, "lora", 5, adapter.Task{Name: "custom", Kind: adapter.MultiLabel, Labels: []string{"x", "y", "z"},
		Threshold: 0.5, Separator: ",", Text: []string{"text"}})
	list := texts(t, 8)
	want := command(t, dir, list)
	url := start(t, labelServer(t, limits(t), dir)) + "/predict"
	for i, p := range decode(t, send(t, http.MethodPost, url, body(t, map[string]any{"texts": list}))).Predictions {
		if fmt.Sprint(p.Labels) != fmt.Sprint(want[i]["prediction"]) || p.Labels == nil || p.Label != "" {
			t.Errorf("text %d: %q; predict writes %v", i, p.Labels, want[i]["prediction"])
		}
		for label, got := range p.Probabilities {
			if d := math.Abs(float64(got - float32(want[i]["p_"+label].(float64)))); d > 1e-5 {
				t.Errorf("text %d: p_%s is %v; predict writes %v", i, label, got, want[i]["p_"+label])
			}
		}
	}
}

// TestHostileRequests: what is not a request gets one line that names the fault, and the server continues.
func TestHostileRequests(t *testing.T) {
	o := limits(t)
	url := start(t, fakeServer(t, o, &lengths{}, &lengths{}))
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"empty", "", 400, "serve: read the request:1:1: the text ends before its JSON value is complete"},
		{"truncated", `{"texts":["a`, 400, "the text ends before its JSON value is complete"},
		{"not an object", `[1]`, 400, "array, not an object"},
		{"two values", `{"texts":["a"]} {}`, 400, `read the request:1:17: "{" follows the end of the JSON value`},
		{"repeated key", `{"texts":["a"],"texts":["b"]}`, 400, `has the key "texts" twice`},
		{"repeated column", `{"texts":[{"text":"a","text":"b"}]}`, 400, `has the key "text" twice`},
		{"case", `{"Texts":["a"]}`, 400, `the key "Texts" is "texts" in another case`},
		{"unknown key", `{"texts":["a"],"model":"x"}`, 400, `the key "model" is not known`},
		{"no texts", `{}`, 400, `the request has no texts; want {"texts": ["a text", ...]}`},
		{"a string", `{"texts":"a"}`, 400, "texts holds a JSON string, not an array"},
		{"a number", `{"texts":["a",7]}`, 400, `texts[1] is "7"; want a string`},
		{"null", `{"texts":[null]}`, 400, `texts[0] is "null"; want a string`},
		{"NaN", `{"texts":[NaN]}`, 400, `1:11: "NaN" stands where a value must be`},
		{"three strings", `{"texts":[["a","b","c"]]}`, 400, "texts[0] is an array; want two strings"},
		{"object", `{"texts":[{"body":"a"}]}`, 400, `texts[0] has no column "text"; want text`},
		{"object with a number", `{"texts":[{"text":1}]}`, 400, `has "1" in the column "text"; want a string`},
		{"UTF-8", "{\"texts\":[\"a\xff\"]}", 400, "invalid UTF-8 byte 0xff"},
		{"deep", `{"texts":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, 400, "read the request:1:"},
		{"nested", `{"texts":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`, 400, "nest deeper than 200"},
		{"large", `{"texts":["` + strings.Repeat("a", int(o.MaxBody)) + `"]}`, 413, "more than 65536 bytes"},
		{"rows", `{"texts":[` + strings.Repeat(`"a",`, o.MaxRows) + `"a"]}`, 413, "has 101 texts; want at most 100"},
		{"adapter", `{"texts":["a"],"adapter":"c"}`, 404, `there is no adapter "c"; want one of a, b`},
		{"path", `{"texts":["a"],"adapter":"../a"}`, 404, `there is no adapter "../a"`},
		{"adapter of another type", `{"texts":["a"],"adapter":1}`, 400, "adapter holds a JSON number, not a string"},
	} {
		t.Run("body="+c.name, func(t *testing.T) {
			send(t, http.MethodPost, url+"/predict", c.body).expect(t, c.status, c.want)
		})
	}
	if r := send(t, http.MethodPost, url+"/predict", `{"texts":["abc"]}`); !strings.Contains(r.body, `"value":3`) {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	send(t, http.MethodGet, url+"/predict", "").expect(t, 405, `the method of "/predict" is "GET"; want POST`)
	send(t, http.MethodPost, url+"/generate", "{}").expect(t, 404, `there is no path "/generate"; want POST /predict`)
	send(t, http.MethodPost, url+"/v1/../predict", "{}").expect(t, 404, `there is no path`)
}
