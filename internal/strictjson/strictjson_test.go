package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/strictjson"
)

type inner struct {
	Name string `json:"name"`
}

// own has its own UnmarshalJSON, as the tokens of a tokenizer do.
type own struct{ text string }

func (o *own) UnmarshalJSON(raw []byte) error {
	if string(raw) == `"bad"` {
		return errors.New("a bad value")
	}
	o.text = string(raw)
	return nil
}

type outer struct {
	inner
	Layers int              `json:"num_layers"`
	List   []inner          `json:"list"`
	ByName map[string]inner `json:"by_name"`
	Next   *outer           `json:"next,omitempty"`
	Any    any              `json:"any"`
	Raw    json.RawMessage  `json:"raw"`
	Own    own              `json:"own"`
	Hidden int              `json:"-"`
	Plain  int
}

func TestUnmarshal(t *testing.T) {
	text := `{"name": "a", "num_layers": 2, "list": [{"name": "b"}, {"name": "c"}],
		"by_name": {"x": {"name": "d"}, "X": {"name": "e"}}, "next": {"num_layers": 3}, "any": {"k": [1], "K": 2},
		"raw": {"Name": 1, "name": 2}, "own": {"NAME": 1}, "Plain": 4, "Hidden": 9, "other": {"name": 1, "Name": 2}}`
	var got outer
	if err := strictjson.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	// The standard library reads the same values from a text without faults.
	var want outer
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{}, own{})); diff != "" {
		t.Error(diff)
	}
	if got.Layers != 2 || got.ByName["x"].Name != "d" || got.Plain != 4 || got.Own.text != `{"NAME": 1}` {
		t.Errorf("read %+v", got)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"twice", `{"num_layers": 4,` + "\n" + ` "num_layers": 2}`,
			`2:13: the object has the key "num_layers" twice; every key may appear once`},
		{"twice-escaped", `{"num_layers": 4, "num\u005flayers": 2}`,
			`1:35: the object has the key "num_layers" twice; every key may appear once`},
		{"twice-unknown", `{"other": 4, "other": 2}`,
			`1:20: the object has the key "other" twice; every key may appear once`},
		{"twice-deep", `{"any": [{"k": {"z": 1, "z": 1}}]}`,
			`1:27: the object has the key "z" twice; every key may appear once`},
		{"twice-in-map", `{"by_name": {"x": {}, "x": {}}}`,
			`1:25: the object has the key "x" twice; every key may appear once`},
		{"twice-in-raw", `{"raw": {"x": {}, "x": {}}}`, `1:21: the object has the key "x" twice; every key may appear once`},
		{"twice-in-own", `{"own": {"x": {}, "x": {}}}`, `1:21: the object has the key "x" twice; every key may appear once`},
		{"case", `{"NUM_LAYERS": 4}`, `1:13: the key "NUM_LAYERS" is "num_layers" in another case; want it written so`},
		{"case-beside", `{"num_layers": 4, "Num_Layers": 2}`,
			`1:30: the key "Num_Layers" is "num_layers" in another case; want it written so`},
		{"case-folded", `{"li\u017ft": []}`, `1:12: the key "liſt" is "list" in another case; want it written so`},
		{"case-embedded", `{"NAME": ""}`, `1:7: the key "NAME" is "name" in another case; want it written so`},
		{"case-in-list", `{"list": [{"name": "a"}, {"Name": "b"}]}`,
			`1:32: the key "Name" is "name" in another case; want it written so`},
		{"case-in-map", `{"by_name": {"x": {"Name": "b"}}}`,
			`1:25: the key "Name" is "name" in another case; want it written so`},
		{"case-in-pointer", `{"next": {"next": {"ANY": 1}}}`,
			`1:24: the key "ANY" is "any" in another case; want it written so`},
		{"kind", `{"num_layers": "4"}`, `1:18: num_layers holds a JSON string, not a whole number`},
		{"own", `{"own": "bad"}`, ` a bad value`},
		{"syntax", "{\n  \"a\":}", `2:7: "}" stands where a value must be`},
		{"utf8", "{\"a\xff\": 1}", `1:4: invalid UTF-8 byte 0xff`},
		{"trailing", `{} {}`, `1:4: "{" follows the end of the JSON value`},
		{"empty", ``, `1:1: the text ends before its JSON value is complete`},
		{"deep", strings.Repeat("[", 300) + strings.Repeat("]", 300), `1:201: arrays and objects nest deeper than 200`},
		{"deep-objects", `{"any": ` + strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 301),
			`1:1007: arrays and objects nest deeper than 200`},
		{"long-key", `{"` + strings.Repeat("k", 1<<20) + `": 1, "` + strings.Repeat("k", 1<<20) + `": 1}`,
			`1:2097162: the object has the key "` + strings.Repeat("k", 60) + `"... twice; every key may appear once`},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			err := strictjson.Unmarshal([]byte(c.text), &outer{})
			if err == nil || err.Error() != c.want {
				t.Errorf("error is\n  %v\nwant\n  %s", err, c.want)
			}
			var e *strictjson.Error
			if !errors.As(err, &e) {
				t.Errorf("error is a %T", err)
			}
		})
	}
}

func TestUnmarshalKnown(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"name": "a", "by_name": {"any": {"name": "b"}}, "any": {"z": 1}, "own": {"z": 1}}`, ""},
		{`{"name": "a", "z": 1}`, `1:17: the key "z" is not known`},
		{`{"list": [{"z": 1}]}`, `1:14: the key "z" is not known`},
		{`{"Hidden": 1}`, `1:9: the key "Hidden" is not known`},
	} {
		err := strictjson.UnmarshalKnown([]byte(c.text), &outer{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: error %v; want %q", c.text, err, c.want)
		}
	}
}

// FuzzUnmarshal: every accepted text is read as the standard library reads it,
// and no text causes a panic.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{`{}`, `{"num_layers": 1}`, `{"list": [{"name": "a"}]}`, `{"a": 1, "a": 2}`, `[[[]]]`,
		`{"Num_layers": 1}`, "\xff", `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want outer
		if err := strictjson.Unmarshal(text, &got); err != nil {
			var at *strictjson.Error
			if !errors.As(err, &at) || at.What == "it is not JSON" || strings.HasPrefix(at.What, "json: ") {
				t.Errorf("%q: the fault is not described: %v", text, err)
			}
			return
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{}, own{})); diff != "" {
			t.Error(diff)
		}
	})
}
