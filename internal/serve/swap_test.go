package serve

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/place"
)

// moved moves an adapter into a folder, as name.
func moved(t *testing.T, dir, folder, name string) {
	t.Helper()
	if err := os.Rename(dir, filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
}

// TestSwap: adapters are added, replaced and removed while requests use them. Each request is answered by one adapter
// as a whole, and the memory of those that are gone is free again.
func TestSwap(t *testing.T) {
	root := t.TempDir()
	first := drawn(t, "lora", 1, nouns)
	moved(t, drawn(t, "lor2c", 2, nouns), root, "two")
	moved(t, drawn(t, "lor2c", 3, nouns), root, "three")
	o := limits(t)
	o.AdapterRoot = root
	s := labelServer(t, o, first)
	l, url := s.task.(*labels), start(t, s)
	list := texts(t, 12)
	ask := body(t, map[string]any{"texts": list, "adapter": "x"})
	put := func(dir string, status int) {
		t.Helper()
		r := send(t, http.MethodPut, url+"/adapters/x", `{"dir":"`+dir+`"}`)
		if r.status != status || !strings.Contains(r.body, `"name":"x"`) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	before := l.dev.Stats().PersistentBytes
	put("two", http.StatusCreated)
	loaded := l.dev.Stats().PersistentBytes
	two := send(t, http.MethodPost, url+"/predict", ask)
	put("three", http.StatusOK)
	three := send(t, http.MethodPost, url+"/predict", ask)
	if alike(t, two, three) {
		t.Fatal("the two adapters predict the same")
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 10 {
				if r := send(t, http.MethodPost, url+"/predict", ask); !alike(t, r, two) && !alike(t, r, three) {
					t.Errorf("%d %s; want the answer of one of the adapters", r.status, r.body)
				}
			}
		})
	}
	for i := range 10 {
		put([]string{"two", "three"}[i%2], http.StatusOK)
	}
	all.Wait()
	if r := send(t, http.MethodGet, url+"/adapters", ""); !strings.Contains(r.body, `{"adapters":[{"name":"a",`) ||
		!strings.Contains(r.body, `{"name":"x",`) {
		t.Error(r.body)
	}
	used := func() (n int64) {
		_ = l.worker.call(func() error { n = l.dev.Stats().PersistentBytes; return nil })
		return n
	}
	eventually(t, func() bool { return used() == loaded })
	if r := send(t, http.MethodDelete, url+"/adapters/x", ""); r.status != http.StatusNoContent {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := used(); got != before || loaded <= before {
		t.Errorf("the device has %d bytes; want %d, as before the adapters were loaded", got, before)
	}
	send(t, http.MethodDelete, url+"/adapters/x", "").expect(t, http.StatusNotFound, `there is no adapter "x"`)
	send(t, http.MethodPost, url+"/predict", ask).expect(t, http.StatusNotFound, `there is no adapter "x"`)
}

// alike reports whether two answers have the same predictions, to the bit or, with OpenBLAS, whose sums depend on the
// rows that are multiplied together, nearly.
func alike(t *testing.T, a, b reply) bool {
	t.Helper()
	if cpu.BLAS() != "openblas" || a.status != b.status {
		return a.body == b.body
	}
	x, y := decode(t, a), decode(t, b)
	for i, p := range x.Predictions {
		for label, got := range p.Probabilities {
			if math.Abs(float64(got-y.Predictions[i].Probabilities[label])) > 1e-5 {
				return false
			}
		}
	}
	return len(x.Predictions) == len(y.Predictions)
}

// TestHostileSwaps: requests load only adapters of the same base model below the root, by proper names, and only if the
// server allows it.
func TestHostileSwaps(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	first := drawn(t, "lora", 1, nouns)
	moved(t, drawn(t, "lora", 2, nouns), outside, "other")
	moved(t, drawn(t, "bitfit", 2, nouns), root, "bitfit")
	moved(t, drawn(t, "lora", 2, tags), root, "tags")
	moved(t, drawnDecoder(t, "../../demo/decoder", "lora", "none"), root, "decoder")
	foreign := drawn(t, "lora", 3, nouns)
	raw, err := os.ReadFile(filepath.Join(foreign, "lor2c.json"))
	if err != nil {
		t.Fatal(err)
	}
	moved(t, foreign, root, "foreign")
	// The adapter says that it was trained on other weights, and has no checksums that would contradict the change.
	changed := strings.Replace(string(raw), `"sha256": "`, `"sha256": "0`, 1)
	if err := os.WriteFile(filepath.Join(root, "foreign", "lor2c.json"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "foreign", "MANIFEST.sha256")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "other"), filepath.Join(root, "link")); err != nil {
		t.Skip("no symbolic links here")
	}
	closed := start(t, labelServer(t, limits(t), first))
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		r := send(t, method, closed+"/adapters/a", `{"dir":"bitfit"}`)
		r.expect(t, http.StatusForbidden, "start it with --adapter-root")
	}
	o := limits(t)
	o.AdapterRoot = root
	s := labelServer(t, o, first)
	url := start(t, s)
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"x", `{"dir":"../other"}`, 400, "want a directory below that of --adapter-root"},
		{"x", `{"dir":"` + filepath.Join(outside, "other") + `"}`, 400, "want a directory below that of --adapter-root"},
		{"x", `{"dir":"link"}`, 400, "want a directory below that of --adapter-root"},
		{"x", `{"dir":""}`, 400, "want a directory below that of --adapter-root"},
		{"x", `{}`, 400, "want a directory below that of --adapter-root"},
		{"x", `{"dir":"none"}`, 400, `dir is "none", which does not exist`},
		{"x", `{"dir":"bitfit"}`, 400, "the method bitfit changes weights of the base model"},
		{"x", `{"dir":"tags"}`, 400, "predict one label for each example, and this one a tag for each word"},
		{"x", `{"dir":"decoder"}`, 400, "it is an adapter of a decoder"},
		{"x", `{"dir":"foreign"}`, 409, "it was trained on"},
		{"x", `{"dir":"bitfit","force":true}`, 400, `the key "force" is not known`},
		{"..%2Fa", `{"dir":"bitfit"}`, 404, `there is no path "/adapters/../a"`},
		{"b%2Fa", `{"dir":"bitfit"}`, 400, `the name of an adapter is "b/a"`},
		{"%2e%2e", `{"dir":"bitfit"}`, 404, "there is no path"},
		{".hidden", `{"dir":"bitfit"}`, 400, `the name of an adapter is ".hidden"`},
		{strings.Repeat("a", 65), `{"dir":"bitfit"}`, 400, "want up to 64 letters"},
		{"a%00b", `{"dir":"bitfit"}`, 400, "the name of an adapter is"},
	} {
		t.Run("name="+strings.NewReplacer("/", "_", "%", "_").Replace(c.name)+"/want="+c.want, func(t *testing.T) {
			send(t, http.MethodPut, url+"/adapters/"+c.name, c.body).expect(t, c.status, c.want)
		})
	}
	if r := send(t, http.MethodPost, url+"/predict", `{"texts":["a dog"]}`); r.status != 200 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// TestMostAdapters: requests bring the server to --max-adapters. One more is refused before it is read, and one that
// replaces another is not.
func TestMostAdapters(t *testing.T) {
	o := limits(t)
	o.AdapterRoot, o.MaxAdapters = t.TempDir(), 2
	if err := os.Mkdir(filepath.Join(o.AdapterRoot, "one"), 0o700); err != nil {
		t.Fatal(err)
	}
	opened := 0
	s := NewLabels(o, cpu.Open[float32](1), []Adapter[Model]{{Name: "a", Model: &lengths{}}}, func(string) (Model, error) {
		opened++
		return &lengths{}, nil
	})
	url := start(t, s)
	put := func(name string, status int, text string) {
		t.Helper()
		r := send(t, http.MethodPut, url+"/adapters/"+name, `{"dir":"one"}`)
		if r.status != status || !strings.Contains(r.body, text) {
			t.Errorf("PUT %s: %d %s; want %d and %q", name, r.status, r.body, status, text)
		}
	}
	put("b", 201, "b")
	put("c", 409, "the server has 2 adapters, and --max-adapters is 2; replace or DELETE one that GET /adapters lists")
	put("b", 200, "b")
	if r := send(t, http.MethodDelete, url+"/adapters/a", ""); r.status != http.StatusNoContent {
		t.Errorf("DELETE a: %d %s", r.status, r.body)
	}
	put("c", 201, "c")
	if opened != 3 {
		t.Errorf("%d adapters were opened; want 3", opened)
	}
}

// TestFailedSwap: an adapter that cannot be read to the device frees what was read of it, and its files are closed.
func TestFailedSwap(t *testing.T) {
	o := limits(t)
	o.AdapterRoot = t.TempDir()
	if err := os.Mkdir(filepath.Join(o.AdapterRoot, "bad"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := &lengths{fault: place.Mistake(errors.New("lengths: half of it is missing"))}
	s := NewLabels(o, cpu.Open[float32](1), nil, func(string) (Model, error) { return m, nil })
	t.Cleanup(s.task.close)
	url := start(t, s)
	send(t, http.MethodPut, url+"/adapters/x", `{"dir":"bad"}`).expect(t, 400, "half of it is missing")
	if !m.unloaded.Load() || !m.closed.Load() {
		t.Errorf("unloaded: %v, closed: %v", m.unloaded.Load(), m.closed.Load())
	}
	send(t, http.MethodPost, url+"/predict", `{"texts":["a"]}`).expect(t, 404, "the server has no adapter")
}

// TestSwapVoices: adapters of a decoder are added and removed beside their base model, whose texts stay the same, and
// the memory of those that are gone is free again.
func TestSwapVoices(t *testing.T) {
	base, err := filepath.Abs("../../demo/decoder")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	moved(t, drawnDecoder(t, base, "lora", "none"), root, "lora")
	moved(t, drawnDecoder(t, base, "prefix", "none"), root, "prefix")
	o := limits(t)
	o.AdapterRoot = root
	s, dev := decoderServer(t, o, base)
	url := start(t, s)
	ask := func(model string) string {
		c := complete(t, send(t, http.MethodPost, url+"/v1/completions",
			`{"prompt":"Once upon a time","temperature":0,"model":"`+model+`"}`))
		return c.Choices[0].Text
	}
	before, first := dev.Stats().PersistentBytes, ask("base")
	for range 3 {
		if r := send(t, http.MethodPut, url+"/adapters/x", `{"dir":"lora"}`); r.status != http.StatusCreated {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if other := ask("x"); other == first && cpu.BLAS() != "openblas" {
			t.Errorf("the adapter writes %q, as its base model does", other)
		}
		if r := send(t, http.MethodDelete, url+"/adapters/x", ""); r.status != http.StatusNoContent {
			t.Errorf("%d %s", r.status, r.body)
		}
		if again := ask("base"); again != first {
			t.Errorf("the base model writes %q; before the adapter it wrote %q", again, first)
		}
	}
	if got := dev.Stats().PersistentBytes; got != before {
		t.Errorf("the device has %d bytes; want %d", got, before)
	}
	send(t, http.MethodPut, url+"/adapters/x", `{"dir":"prefix"}`).expect(t, 400, "the method prefix changes the model")
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		send(t, method, url+"/adapters/base", `{"dir":"lora"}`).expect(t, 403, `requests cannot change "base"`)
	}
}
