package setting

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type shared struct {
	Rank  int     `yaml:"rank" doc:"inner width" range:"1..256" example:"4"`
	Alpha float64 `yaml:"alpha" doc:"scale" range:">0.."`
}

type section struct {
	shared `yaml:",inline"`
	Drop   *float64 `yaml:"drop" doc:"share" range:"0..<1"`
	Mode   string   `yaml:"mode" doc:"how" words:"full|rows"`
	Open   string   `yaml:"open" doc:"how else" words:"|a|b|c"`
	Steps  []int    `yaml:"steps" doc:"lengths" range:"0|2.."`
	Names  []string `yaml:"names" doc:"layers" words:"query|value"`
	File   string   `yaml:"file" doc:"place" path:"true" required:"true"`
	Long   string   `yaml:"long" doc:"when" words:"|epoch|step|run|never"`
}

// TestFields: a struct gives its keys in the order of its fields, those of an embedded one in its place.
func TestFields(t *testing.T) {
	var got []string
	s := reflect.ValueOf(section{shared: shared{Rank: 3}, Mode: "rows"})
	for _, f := range Fields(s.Type()) {
		line := f.Name + " " + f.Doc
		if f.Range != nil {
			line += " (" + f.Range.String() + ")"
		}
		if f.Values != nil {
			line += " " + strings.Join(f.Values, "/")
		}
		if f.Empty {
			line += " or empty"
		}
		if f.Path {
			line += " path"
		}
		if f.Required {
			line += " required"
		}
		got = append(got, line)
		if f.Name == "rank" && (s.FieldByIndex(f.Index).Int() != 3 || f.Example != "4") {
			t.Errorf("rank is read from %v, its example is %q", f.Index, f.Example)
		}
		if f.Name == "mode" && s.FieldByIndex(f.Index).String() != "rows" {
			t.Errorf("mode is read from %v", f.Index)
		}
	}
	want := []string{
		"rank inner width (1 to 256)", "alpha scale (more than 0)", "drop share (at least 0 and less than 1)",
		"mode how full/rows",
		"open how else a/b/c or empty", "steps lengths (0, or at least 2)", "names layers query/value",
		"file place path required", "long when epoch/step/run/never or empty",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestFaults: each value that the tags do not allow is named with what would be right.
func TestFaults(t *testing.T) {
	one := 1.0
	for _, c := range []struct {
		change func(*section)
		want   string
	}{
		{func(s *section) {}, ""},
		{func(s *section) { s.Rank = 0 }, "x.rank: is 0; want 1 to 256"},
		{func(s *section) { s.Rank = 257 }, "x.rank: is 257; want 1 to 256"},
		{func(s *section) { s.Alpha = 0 }, "x.alpha: is 0; want more than 0"},
		{func(s *section) { s.Alpha = math.NaN() }, "x.alpha: is NaN; want more than 0"},
		{func(s *section) { s.Alpha = math.Inf(1) }, "x.alpha: is +Inf; want more than 0 and finite"},
		{func(s *section) { s.Alpha = math.Inf(-1) }, "x.alpha: is -Inf; want more than 0"},
		{func(s *section) { s.Drop = &one }, "x.drop: is 1; want at least 0 and less than 1"},
		{func(s *section) { s.Mode = "" }, `x.mode: is ""; want full or rows`},
		{func(s *section) { s.Open = "d" }, `x.open: is "d"; want a, b or c`},
		{func(s *section) { s.Long = "spet" }, `x.long: is "spet"; want epoch, step, run or never (nearest "step")`},
		{func(s *section) { s.Long = "x" }, `x.long: is "x"; want epoch, step, run or never`},
		{func(s *section) { s.File = "" }, "x.file: is empty; want the place"},
		{func(s *section) { s.Open = "c" }, ""},
		{func(s *section) { s.Steps = []int{0, 2, 1} }, "x.steps[2]: is 1; want 0, or at least 2"},
		{func(s *section) { s.Names = []string{"q_proj"} }, ""},
		{func(s *section) { s.Rank, s.Alpha = -1, -2 }, "x.rank: is -1; want 1 to 256\nx.alpha: is -2; want more than 0"},
	} {
		s := section{shared: shared{Rank: 1, Alpha: 1}, Mode: "full", File: "f"}
		c.change(&s)
		got := ""
		if faults := Faults("x", &s); faults != nil {
			got = errors.Join(faults...).Error()
		}
		if got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// TestParseRange: a range is read as written, and a tag that is not a range is an error.
func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"1..256": "1 to 256", "0..": "at least 0", ">0..": "more than 0", ">0..<1": "more than 0 and less than 1",
		"0..<1": "at least 0 and less than 1",
		"0|5..": "0, or at least 5", "0|5..9": "0, or at least 5 and at most 9", ">0..1": "more than 0 and at most 1",
		"-1.5..1e6": "-1.5 to 1000000",
	} {
		if r, err := ParseRange(text); err != nil || r.String() != want {
			t.Errorf("%s: got %q, %v; want %q", text, r, err, want)
		}
	}
	for _, text := range []string{"", "1", "1..2..3", "a..b", "2..1", "0..<", "1-2", "-..1"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%s: got %q; want an error", text, r)
		}
	}
}

// TestBugs: a struct that has no key for a field or a tag that cannot be read is a panic.
func TestBugs(t *testing.T) {
	for name, typ := range map[string]reflect.Type{
		"no key": reflect.TypeFor[struct{ Rank int }](),
		"range": reflect.TypeFor[struct {
			Rank int `yaml:"rank" range:"one"`
		}](),
	} {
		t.Run("fault="+name, func(t *testing.T) {
			defer func() {
				if b, ok := recover().(Bug); !ok || !strings.HasPrefix(b.Error(), "setting: ") {
					t.Errorf("recovered %v; want a Bug", b)
				}
			}()
			Fields(typ)
		})
	}
}
