package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/train"
)

// encoder is the base model of the tests.
const encoder = "../../demo/model"

// drawn writes an adapter of the demo encoder with random values, for a task.
func drawn(t *testing.T, method string, seed uint64, task adapter.Task) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "adapter")
	dev := cpu.Open[float32](1)
	c := adapter.NewConfig(method)
	c.Resolve()
	n, err := model.Load(dev, encoder,
		model.Head{Outputs: max(1, len(task.Labels)), Tokens: task.Kind == adapter.Tokens}, seed, c.Trains())
	if err != nil {
		t.Fatal(err)
	}
	m, err := adapter.Attach(dev, n, adapter.Settings{Config: c, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat(m.Params(), n.Head()) {
		values, noise := p.Values(dev), make([]float32, p.Value.Shape.Len())
		compute.Normal(noise, seed, p.Name, 0.05)
		for i := range values {
			values[i] += noise[i]
		}
		p.Upload(dev, values)
	}
	sum, err := adapter.Fingerprint(encoder)
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(encoder)
	if err != nil {
		t.Fatal(err)
	}
	d := adapter.Description{
		Method: c, MaxLength: 64, Task: task,
		Base: adapter.Base{
			Path: path, Dir: path, SHA256: sum, Type: "roberta", Width: n.HiddenSize(), Layers: n.HiddenLayers(),
		},
	}
	err = checkpoint.WriteDir(dir, func(tmp string) error { return adapter.Save(tmp, dev, d, m, n.Head()) })
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// nouns is a task of single texts, and entails one of pairs.
var (
	nouns   = adapter.Task{Name: "custom", Labels: []string{"thing", "animal", "act"}, Text: []string{"text"}}
	entails = adapter.Task{Name: "custom", Labels: []string{"no", "yes"}, Text: []string{"premise", "hypothesis"}}
	scored  = adapter.Task{Name: "custom", Text: []string{"text"}}
)

// limits are small options for tests.
func limits(t *testing.T) Options {
	return Options{
		Batch: 8, MaxBody: 1 << 16, MaxRows: 100, MaxQueue: 64, MaxAdapters: 64, Timeout: time.Minute,
		Reading: time.Minute, Grace: time.Minute, Log: log.New(testLog{t}, "", 0),
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}

// predictorOf loads adapters, in their order, to a device.
func predictorOf(t *testing.T, dev compute.Device, dirs ...string) []*train.Predictor {
	t.Helper()
	all, err := train.OpenPredictor(dirs, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.Close)
	parts := all.Each()
	for _, p := range parts {
		if err := p.Load(dev); err != nil {
			t.Fatal(err)
		}
	}
	return parts
}

// labelServer returns the server of adapters, called a, b and so on.
func labelServer(t *testing.T, o Options, dirs ...string) *Server {
	t.Helper()
	dev := cpu.Open[float32](2)
	var adapters []Adapter[Model]
	parts := predictorOf(t, dev, dirs...)
	for i, p := range parts {
		adapters = append(adapters, Adapter[Model]{Name: string(rune('a' + i)), Dir: dirs[i], Model: p})
	}
	s := NewLabels(o, dev, adapters, func(dir string) (Model, error) { return parts[0].Beside(dir) })
	t.Cleanup(s.task.close)
	return s
}

// start serves on loopback for the time of a test.
func start(t *testing.T, s *Server) (url string) {
	t.Helper()
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h.URL
}

// reply is the answer to a request of a test.
type reply struct {
	status int
	body   string
	header http.Header
}

// send sends a request, whose body may be empty.
func send(t *testing.T, method, url, body string) reply {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return reply{}
	}
	return do(t, r)
}

// do may run on any goroutine, so that it cannot end the test.
func do(t *testing.T, r *http.Request) reply {
	t.Helper()
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	if err != nil {
		t.Error(err)
	}
	return reply{got.StatusCode, string(raw), got.Header}
}

// message returns the message of an error, which must be one line of JSON in the form of the OpenAI API.
func (r reply) message(t *testing.T) string {
	t.Helper()
	var e struct {
		Error struct{ Message, Type string }
	}
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error.Message == "" || e.Error.Type == "" ||
		strings.Contains(e.Error.Message, "\n") {
		t.Errorf("the answer is not an error of one line: %d %q, %v", r.status, r.body, err)
	}
	return e.Error.Message
}

// expect fails unless r is a refusal with a status and a text.
func (r reply) expect(t *testing.T, status int, text string) {
	t.Helper()
	if m := r.message(t); r.status != status || !strings.Contains(m, text) {
		t.Errorf("%d %q; want %d and %q", r.status, m, status, text)
	}
}

// texts returns the first texts of the demo's dev split.
func texts(t *testing.T, n int) (list []string) {
	t.Helper()
	raw, err := os.ReadFile("../../demo/data/dev.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(raw, []byte("\n"))[1 : n+1] {
		text, _, _ := bytes.Cut(line, []byte("\t"))
		list = append(list, string(text))
	}
	return list
}

func body(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// serveUntil runs a server as the command does, and returns its address, a function that stops it and one that waits
// for its end.
func serveUntil(t *testing.T, s *Server) (url string, stop func(), wait func() error) {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return "http://" + l.Addr().String(), cancel, func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return errors.New("the server does not stop")
		}
	}
}
