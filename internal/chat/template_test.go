package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestMain sets a time that a rendering cannot reach, however slow the machine.
func TestMain(m *testing.M) {
	maxTime = time.Hour
	os.Exit(m.Run())
}

// reference is testdata/cases.json, written by scripts/golden_chat.py with
// transformers.
type reference struct {
	Cases []struct {
		Template, Source, Conversation string
		Messages                       []json.RawMessage
		Prompt                         bool
		Tools                          json.RawMessage
		Out                            *string
		Error                          string
		Marks                          [][2]int
	}
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func TestRenderEqualsTransformers(t *testing.T) {
	var r reference
	readJSON(t, filepath.Join("testdata", "cases.json"), &r)
	if len(r.Cases) != 84 {
		t.Fatalf("%d cases; 84 were written", len(r.Cases))
	}
	for _, c := range r.Cases {
		tmpl, err := Parse(c.Source)
		if err != nil {
			t.Fatalf("%s: %v", c.Template, err)
		}
		opts := Options{AddGenerationPrompt: c.Prompt, BOS: "<s>", EOS: "</s>"}
		if string(c.Tools) != "null" {
			opts.Tools = c.Tools
		}
		text, spoken, err := tmpl.render(messagesOf(c.Messages), opts, strings.NewReplacer())
		if c.Out == nil {
			if err == nil || !strings.Contains(err.Error(), c.Error) {
				t.Errorf("%s/%s: error %v; transformers has %s", c.Template, c.Conversation, err, c.Error)
			}
			continue
		}
		if err != nil || text != *c.Out {
			t.Errorf("%s/%s/%v: %v\n got %q\nwant %q", c.Template, c.Conversation, c.Prompt, err, text, *c.Out)
		}
		if c.Marks == nil {
			continue
		}
		// transformers counts characters.
		var got [][2]int
		for _, s := range spoken {
			got = append(got, [2]int{utf8.RuneCountInString(text[:s.start]), utf8.RuneCountInString(text[:s.end])})
		}
		if len(got) != len(c.Marks) {
			t.Fatalf("%s/%s: marks %v, want %v", c.Template, c.Conversation, got, c.Marks)
		}
		for i := range got {
			if got[i] != c.Marks[i] {
				t.Errorf("%s/%s: marks %v, want %v", c.Template, c.Conversation, got, c.Marks)
			}
		}
	}
}

func messagesOf(raw []json.RawMessage) []Message {
	messages := make([]Message, len(raw))
	for i, r := range raw {
		messages[i] = Message{Fields: r}
		if err := json.Unmarshal(r, &messages[i]); err != nil {
			panic(err)
		}
	}
	return messages
}

// TestPublishedTemplates renders the templates of nine published models.
func TestPublishedTemplates(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with design/decoder")
	}
	var cases []struct {
		Template, Source, Name string
		Messages               []json.RawMessage
		Gen                    bool
		Out, Err               *string
	}
	readJSON(t, filepath.Join(shared, "design", "decoder", "chat_template_cases.json"), &cases)
	if len(cases) != 90 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		tmpl, err := Parse(c.Source)
		if err != nil {
			t.Errorf("%s: %v", c.Template, err)
			continue
		}
		text, err := tmpl.Render(messagesOf(c.Messages), Options{AddGenerationPrompt: c.Gen, BOS: "<s>", EOS: "</s>"})
		if (err != nil) != (c.Err != nil) || c.Out != nil && text != *c.Out {
			t.Errorf("%s/%s/%v: %v\n got %q\nwant %v", c.Template, c.Name, c.Gen, err, text, c.Out)
		}
	}
}

// TestHostileTemplates: no template reads a file, runs for long or needs much
// memory, and each is refused with a reason.
func TestHostileTemplates(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ source, want string }{
		"include":    {"{% include '" + secret + "' %}", "include"},
		"import":     {"{% import '" + secret + "' as x %}", "import"},
		"extends":    {"{% extends '" + secret + "' %}", "extends"},
		"huge-range": {"{% for i in range(1000000000000) %}x{% endfor %}", "range: more than 100000 numbers"},
		"nested-loops": {"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
			"it takes more than 100000 steps"},
		"recursion": {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "it nests loops and macros more than 40 deep"},
		"doubling": {"{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x " +
			"%}{% endfor %}", "a variable has more than"},
		"doubling-list": {"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% " +
			"endfor %}{{ ns.x }}", "a variable has more than"},
		"self-reference": {"{% set ns = namespace(x=1) %}{% set ns.x = ns %}{{ ns.x }}", "a variable has more than"},
		"multiplication": {"{{ 'a' * 10000000000 }}", "operator * is not supported"},
		"power":          {"{{ 10 ** 10 ** 10 }}", "operator * is not supported"},
		"long-output": {"{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(15) %}{% set ns.x = ns.x ~ ns.x " +
			"%}{% endfor %}{% for i in range(1000) %}{{ ns.x }}{% endfor %}", "it makes a text of more than"},
		"replace": {"{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(15) %}{% set ns.x = ns.x ~ ns.x " +
			"%}{% endfor %}{{ ns.x.replace('a', ns.x) | length }}", "it makes a text of more than"},
		"replace-filter": {"{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(15) %}{% set ns.x = ns.x ~ ns.x " +
			"%}{% endfor %}{{ ns.x | replace('a', ns.x) | length }}", "it makes a text of more than"},
		"center":          {"{{ 'a'.center(10000000000) }}", "center"},
		"append":          {"{% set l = [] %}{{ l.append(l) }}{{ l }}", "append"},
		"division":        {"{{ 1 % 0 }}", "the template fails"},
		"brackets":        {"{{ " + strings.Repeat("(", 100000) + " }}", "bytes; at most 32768 are allowed"},
		"nested-brackets": {"{{ " + strings.Repeat("(", 1000) + " }}", "nested more than 50 deep"},
		"nested-ifs":      {strings.Repeat("{% if true %}", 1000), "nested more than 50 deep"},
		"joins":           {"{{ 'a'" + strings.Repeat("~'a'", 1000) + " }}", "1000 operators + and ~"},
		"wide-character":  {"{% if true %}\n{{ 4.é }}{% endif %}", "line 2:6: the character U+00E9 outside a string is not"},
		"wide-at-end":     {"{{ 4.é", "the character U+00E9 outside a string is not supported"},
		"control":         {"{{ 4\x00 }}", "the character U+0000 outside a string is not supported"},
		"backslash":       {`{{ 'a\\' ~ ' 4.é ' }}`, "a string that ends in a backslash is not supported"},
		"raw-tag":         {"{%\nraw %}{{ 4.é }}{% endraw %}", "this raw tag is not supported; write {% raw %}"},
		"raw-end":         {"{% raw %}{{ endraw ' {% endraw %}{{ 4.é }}", "the character U+00E9 outside a string is not"},
		"long":            {strings.Repeat("a", maxSource+1), "bytes; at most 262144 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := Parse(c.source)
			text := ""
			if err == nil {
				text, err = tmpl.Render([]Message{{Role: "user", Content: "hi"}}, Options{})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "chat: ") {
				t.Errorf("%.80q, error %v\nwant %s", text, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 500) {
				t.Errorf("not one line: %.600q", err)
			}
		})
	}
}

// A rendering ends when its time is over, whatever it has done in it.
func TestMaxTime(t *testing.T) {
	defer func(before time.Duration) { maxTime = before }(maxTime)
	maxTime = 0
	tmpl, err := Parse("{% for i in range(1000) %}{{ i }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.Render(nil, Options{}); err == nil || err.Error() != "chat: render: it takes more than 0s" {
		t.Errorf("error %v", err)
	}
}

// A template sees a date only if the caller gives one.
func TestDate(t *testing.T) {
	tmpl, err := Parse("{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		date time.Time
		want string
	}{{time.Time{}, "26 Jul 2024"}, {time.Date(2026, 3, 7, 1, 2, 3, 0, time.UTC), "07 Mar 2026"}} {
		if got, err := tmpl.Render(nil, Options{Date: c.date}); err != nil || got != c.want {
			t.Errorf("%v: %q, %v", c.date, got, err)
		}
	}
}
