package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
)

// tags is a task of sentences whose words have tags.
var tags = adapter.Task{Name: "custom", Kind: adapter.Tokens, Labels: []string{"B-x", "I-x", "O"}}

// TestTagged: requests for an adapter that tags words get the words, tags and entities that lor2c predict writes,
// beside requests for an adapter that labels texts on the same base model.
func TestTagged(t *testing.T) {
	dirs := []string{drawn(t, "lor2c", 3, tags), drawn(t, "lora", 2, nouns)}
	list := append(texts(t, 12), "", "é  日本 \u200b x")
	want := command(t, dirs[0], list)
	url := start(t, labelServer(t, limits(t), dirs...)) + "/predict"
	exact := cpu.BLAS() != "openblas"
	entities := 0
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if i%4 == 3 {
				r := send(t, http.MethodPost, url, `{"adapter":"b","texts":["a thing"]}`)
				if r.status != http.StatusOK || !strings.Contains(r.body, `"label"`) {
					t.Errorf("%d %s", r.status, r.body)
				}
				return
			}
			from := i * 5 % len(list)
			part := list[from:min(len(list), from+1+i%5)]
			r := send(t, http.MethodPost, url, body(t, map[string]any{"texts": part, "adapter": "a"}))
			var answer struct{ Predictions []map[string]any }
			if err := json.Unmarshal([]byte(r.body), &answer); err != nil || len(answer.Predictions) != len(part) {
				t.Errorf("%d %s: %v", r.status, r.body, err)
				return
			}
			for j, got := range answer.Predictions {
				row := want[from+j]
				for _, key := range []string{"tokens", "tags", "entities"} {
					if d := cmp.Diff(row[key], got[key]); d != "" && exact {
						t.Errorf("text %d, %s: %s", from+j, key, d)
					}
				}
			}
		})
	}
	all.Wait()
	for _, row := range want {
		entities += len(row["entities"].([]any))
	}
	if entities == 0 {
		t.Error("there is no entity to compare")
	}
	for _, c := range []struct{ text, want string }{
		{`["New York","is"]`, `"tokens":["New York","is"]`},
		{`{"tokens":["New York"],"id":4}`, `"tokens":["New York"]`},
		{`{"text":"New York"}`, `"tokens":["New","York"]`},
		{`[]`, `"tokens":[],"tags":[],"entities":[]`},
		{`["a",null]`, `texts[0] is "[\"a\",null]"; want a string, a list of words, or an object`},
		{`{"words":["a"]}`, `texts[0] has neither "tokens" nor "text"; want a list of words or a string`},
		{`7`, `texts[0] is "7"; want a string`},
	} {
		r := send(t, http.MethodPost, url, `{"adapter":"a","texts":[`+c.text+`]}`)
		var plain struct{ Error struct{ Message string } }
		_ = json.Unmarshal([]byte(r.body), &plain)
		if !strings.Contains(r.body+plain.Error.Message, c.want) {
			t.Errorf("%s: %d %s; want %s", c.text, r.status, r.body, c.want)
		}
	}
}
