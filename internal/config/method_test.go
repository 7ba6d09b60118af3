package config

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// run is a valid run file but for its method section.
const run = "{model: m, out: o, data: {task: rte, dir: d}, method: "

// TestOwnKeys: a key that the method does not take is refused with the methods that take it, unless it was written for
// another method that a stronger source replaced.
func TestOwnKeys(t *testing.T) {
	belongs := "method.share: is a key of lor2c; method lora takes " + strings.Join(adapter.Keys("lora"), ", ")
	head := "is a key of " + strings.Join(adapter.Taking("rank"), ", ") + "; method head takes no other keys"
	for _, c := range []struct {
		name, method string
		sets, env    []string
		want         adapter.Config
		fault        string
	}{
		{name: "same file", method: "{name: lora, share: true}", fault: "config: x.yaml:1:68: " + belongs},
		{name: "same file, no effect", method: "{name: lora, share: false}", fault: "config: x.yaml:1:68: " + belongs},
		{name: "no settings", method: "{name: head, rank: 4}", fault: "config: x.yaml:1:68: method.rank: " + head},
		{name: "stronger key", method: "{name: head}", sets: []string{"method.rank=4"},
			fault: "config: --set method.rank=4: " + head},
		{name: "environment", method: "{name: head}", env: []string{"LOR2C_METHOD_RANK=4"},
			fault: "config: LOR2C_METHOD_RANK: method.rank: " + head},
		{name: "both set", method: "{}", sets: []string{"method.rank=4", "method.name=head"},
			fault: "config: --set method.rank=4: " + head},
		{name: "replaced", method: "{name: lor2c, rank: 4, share: true}", sets: []string{"method.name=lora"},
			want: adapter.Configure("lora", adapter.Values{"rank": 4})},
		{name: "replaced default", method: "{rank: 4, share: true}", sets: []string{"method.name=head"},
			want: adapter.NewConfig("head")},
		{name: "replaced by the environment", method: "{rank: 4, share: true}", env: []string{"LOR2C_METHOD_NAME=head"},
			want: adapter.NewConfig("head")},
		{name: "replaced twice", method: "{rank: 4}", env: []string{"LOR2C_METHOD_NAME=head"},
			sets: []string{"method.name=lora"},
			want: adapter.Configure("lora", adapter.Values{"rank": 4})},
		{name: "right for neither", method: "{name: head, share: true}", sets: []string{"method.name=lora"},
			fault: "config: x.yaml:1:68: " + belongs},
		{name: "right for the stronger", method: "{name: lora, share: true}", sets: []string{"method.name=lor2c"},
			want: adapter.Configure("lor2c", adapter.Values{"share": true})},
		{name: "unknown", method: "{name: lorra, share: true}",
			fault: `config: x.yaml:1:56: method.name: is "lorra"; want one of ` + strings.Join(adapter.Names(), ", ")},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			got, err := load("x.yaml", []byte(run+c.method+"}"), c.sets, c.env)
			if c.fault != "" {
				wantFaults(t, err, c.fault)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.want.Resolve(); !got.Method.Equal(c.want) {
				t.Errorf("method is %v; want %v", got.Method, c.want)
			}
		})
	}
}

// TestOlderRunFiles: the run file that an older release wrote into a run directory has every key for every method. The
// keys that the method does not take had no effect, and are left out.
func TestOlderRunFiles(t *testing.T) {
	const older = `
    rank: 4
    alpha: 8
    dropout: 0.05
    share: false
    target_modules:
        - query
    inject_rank: 0
    inject_alpha: 0
    inject_dropout: null
`
	lora := adapter.Configure("lora", adapter.Values{"rank": 4, "alpha": 8, "target_modules": []string{"query"}})
	for name, want := range map[string]adapter.Config{"lora": lora, "head": adapter.NewConfig("head"),
		"bitfit": adapter.NewConfig("bitfit")} {
		text := "model: m\nout: o\ndata: {task: rte, dir: d}\nmethod:\n    name: " + name + older
		got, err := load("x.yaml", []byte(text), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Method.Equal(want) {
			t.Errorf("method is %v; want %v", got.Method, want)
		}
		without := strings.Replace(text, "    share: false\n", "", 1)
		if _, err := load("x.yaml", []byte(without), nil, nil); err == nil {
			t.Errorf("%s: a file that no release wrote is read", name)
		}
	}
}
