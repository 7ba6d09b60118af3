package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lor2c/lor2c/internal/dataset"
)

// with returns a request with headers, as in "Authorization: Bearer x".
func with(t *testing.T, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(key, value); key == "Host" {
			r.Host = value
		}
	}
	return r
}

// TestToken: a server with a token answers only requests that carry it, except those about its health.
func TestToken(t *testing.T) {
	o := limits(t)
	o.Token = "correct-horse"
	url := start(t, fakeServer(t, o, &lengths{}))
	for _, h := range []string{"Accept: */*", "Authorization: Bearer", "Authorization: Bearer wrong",
		"Authorization: Bearer correct-horse2", "Authorization: Basic correct-horse", "Authorization: correct-horse"} {
		for _, path := range []string{"/predict", "/metrics", "/adapters", "/v1/models", "/nothing"} {
			r := do(t, with(t, http.MethodPost, url+path, `{"texts":["a"]}`, h))
			r.expect(t, http.StatusUnauthorized, "want the header Authorization: Bearer TOKEN")
			if r.header.Get("WWW-Authenticate") == "" || strings.Contains(r.body, "horse") {
				t.Errorf("%s: %v %s", h, r.header, r.body)
			}
		}
	}
	for _, h := range []string{"Authorization: Bearer correct-horse", "Authorization: bearer correct-horse"} {
		r := do(t, with(t, http.MethodPost, url+"/predict", `{"texts":["a"]}`, h, "Host: models.example"))
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", h, r.status, r.body)
		}
	}
	if r := send(t, http.MethodGet, url+"/healthz", ""); r.status != 200 {
		t.Errorf("/healthz: %d %s", r.status, r.body)
	}
}

// TestPages: a page in a browser cannot use a server without a token, neither from another site nor by a name that
// leads to this machine.
func TestPages(t *testing.T) {
	url := start(t, fakeServer(t, limits(t), &lengths{}))
	const body = `{"texts":["a"]}`
	do(t, with(t, http.MethodPost, url+"/predict", body, "Host: evil.example:8080")).expect(t, http.StatusForbidden,
		`the request is for the host "evil.example:8080"; want localhost`)
	for _, h := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} {
		do(t, with(t, http.MethodPost, url+"/predict", body, h)).expect(t, http.StatusForbidden, "a page of another site")
	}
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080", "127.9.9.9:80"} {
		if r := do(t, with(t, http.MethodPost, url+"/predict", body, "Host: "+host)); r.status != 200 {
			t.Errorf("%s: %d %s", host, r.status, r.body)
		}
	}
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, ":8080": false, "0.0.0.0:1": false, "[::]:1": false,
		"10.0.0.1:1": false, "example.org:1": false, "127.0.0.1": false, "127.0.0.1.example.org:1": false,
	} {
		if got := IsLoopback(address); got != want {
			t.Errorf("IsLoopback(%q) is %v", address, got)
		}
	}
}

// blocked returns a model that computes nothing until release is called, and a channel that says when it begins.
func blocked() (m *lengths, begins chan int, release func()) {
	begins, gate := make(chan int, 100), make(chan struct{})
	return &lengths{before: func(_ context.Context, texts []dataset.Example) error {
		begins <- len(texts)
		<-gate
		return nil
	}}, begins, func() { close(gate) }
}

// TestQueue: a request that finds the queue full is refused at once, those in the queue are answered, and a client that
// goes away frees its place.
func TestQueue(t *testing.T) {
	o := limits(t)
	o.MaxQueue = 2
	m, begins, release := blocked()
	s := fakeServer(t, o, m)
	url := start(t, s)
	answers := make(chan reply, 2)
	ask := func() { answers <- send(t, http.MethodPost, url+"/predict", `{"texts":["abc"]}`) }
	go ask()
	<-begins
	gone, leave := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() {
		r := with(t, http.MethodPost, url+"/predict", `{"texts":["abcd"]}`)
		_, err := http.DefaultClient.Do(r.WithContext(gone))
		left <- err
	}()
	eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == 2 })
	r := send(t, http.MethodPost, url+"/predict", `{"texts":["a"]}`)
	r.expect(t, http.StatusTooManyRequests, "2 requests are computed or wait; send the request again later")
	// The limit applies before anything of a request is decoded: this one has a mistake.
	send(t, http.MethodPost, url+"/predict", `{"texts":`).expect(t, http.StatusTooManyRequests, "2 requests are")
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	leave()
	if err := <-left; err == nil {
		t.Error("the client that went away has an answer")
	}
	eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == 1 })
	go ask()
	eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == 2 })
	release()
	for range 2 {
		if r := <-answers; r.status != 200 || !strings.Contains(r.body, `"value":3`) {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	for len(begins) > 0 {
		if n := <-begins; n != 1 {
			t.Errorf("a batch has %d texts; the text of the client that went away is computed", n)
		}
	}
	if n := count(t, url, "lor2c_requests_total", "/predict", "499"); n != 1 {
		t.Errorf("%v requests of clients that went away are counted; want 1", n)
	}
}

// TestBatches: the texts that wait are computed together, as many as --batch, and a long request does not hold up a
// short one.
func TestBatches(t *testing.T) {
	m, begins, release := blocked()
	wait := m.before
	var batches []string
	m.before = func(ctx context.Context, texts []dataset.Example) error {
		batches = append(batches, fmt.Sprint(len(texts), texts[0].TextA))
		return wait(ctx, texts)
	}
	s := fakeServer(t, limits(t), m)
	url := start(t, s)
	long := `{"texts":["long"` + strings.Repeat(`,"long"`, 39) + `]}`
	var all sync.WaitGroup
	for i, in := range []string{`{"texts":["first"]}`, long, `{"texts":["short","short"]}`} {
		all.Go(func() { send(t, http.MethodPost, url+"/predict", in) })
		if i == 0 {
			<-begins
		}
		eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == float64(i+1) })
	}
	release()
	all.Wait()
	if got := fmt.Sprint(batches); got != "[1first 8long 8short 8long 8long 8long 2long]" {
		t.Errorf("batches %v; want the short request after the first texts of the long one", got)
	}
}

// TestFaults: a text that cannot be computed fails its own request and not those beside it, and after a panic the
// server continues.
func TestFaults(t *testing.T) {
	m, begins, release := blocked()
	wait := m.before
	m.before = func(ctx context.Context, texts []dataset.Example) error {
		for _, x := range texts {
			switch x.TextA {
			case "bad":
				return fmt.Errorf("lengths: a bad text")
			case "bug":
				panic("a bug")
			}
		}
		return wait(ctx, texts)
	}
	s := fakeServer(t, limits(t), m)
	url := start(t, s)
	go send(t, http.MethodPost, url+"/predict", `{"texts":["first"]}`)
	<-begins
	answers := map[string]chan reply{"bad": make(chan reply, 1), "good": make(chan reply, 1)}
	for text, answer := range answers {
		go func() { answer <- send(t, http.MethodPost, url+"/predict", `{"texts":["`+text+`"]}`) }()
	}
	eventually(t, func() bool { return gauge(t, url, "lor2c_queue_requests") == 3 })
	release()
	(<-answers["bad"]).expect(t, http.StatusInternalServerError, "lengths: a bad text")
	if r := <-answers["good"]; r.status != 200 {
		t.Errorf("beside a bad text: %d %s", r.status, r.body)
	}
	bug := send(t, http.MethodPost, url+"/predict", `{"texts":["bug"]}`)
	bug.expect(t, http.StatusInternalServerError, "a bug in lor2c")
	if r := send(t, http.MethodPost, url+"/predict", `{"texts":["good"]}`); r.status != 200 {
		t.Errorf("after a panic: %d %s", r.status, r.body)
	}
	if n := gauge(t, url, "lor2c_panics_total"); n != 1 {
		t.Errorf("%v panics are counted", n)
	}
}

// TestTimeouts: a request that takes too long, and one whose client sends it too slowly, end with an error.
func TestTimeouts(t *testing.T) {
	o := limits(t)
	o.Timeout, o.Reading = 100*time.Millisecond, time.Second // a busy machine sends the first request in that time
	m, begins, release := blocked()
	s := fakeServer(t, o, m)
	url, stop, wait := serveUntil(t, s)
	send(t, http.MethodPost, url+"/predict", `{"texts":["a"]}`).expect(t, http.StatusServiceUnavailable,
		"the request took longer than the server allows")
	<-begins
	release()
	for name, sent := range map[string]string{
		"header": "POST /predict HTTP/1.1\r\nHost: localhost\r\nX-", "body": "POST /predict HTTP/1.1\r\nHost: localhost\r\n" +
			"Content-Length: 100\r\n\r\n{",
	} {
		c := raw(t, url, sent)
		got, err := http.ReadResponse(bufio.NewReader(c), nil)
		if name == "header" && (err == nil && got.StatusCode == http.StatusOK || errors.Is(err, os.ErrDeadlineExceeded)) ||
			name == "body" && (err != nil || got.StatusCode != http.StatusRequestTimeout) {
			t.Errorf("slow %s: %v, %v", name, got, err)
		}
	}
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// raw opens a connection to a server and sends bytes.
func raw(t *testing.T, url, sent string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprint(c, sent)
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

// TestRefusedBody: a client without the token that never sends the body of its request gets its answer, and does not
// keep its connection.
func TestRefusedBody(t *testing.T) {
	o := limits(t)
	o.Token, o.Reading = "correct-horse", time.Second
	url := start(t, fakeServer(t, o, &lengths{}))
	c := raw(t, url, "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 401 ") {
		t.Errorf("%q, %v; want status 401 and the end of the connection", got, err)
	}
}

// TestHalfClosed: a client that stops sending, and so seems to be gone, gets no answer that looks like success.
func TestHalfClosed(t *testing.T) {
	m, begins, release := blocked()
	url := start(t, fakeServer(t, limits(t), m))
	const body = `{"texts":["abc"]}`
	c := raw(t, url, fmt.Sprintf("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body),
		body))
	defer release()
	<-begins
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
		t.Errorf("the answer is %q, %v; want none", got, err)
	}
}

// TestPlaces: a request that is answered, that has a mistake or that asks for nothing leaves its place before its
// answer is sent, so that the next request of the same client finds it free.
func TestPlaces(t *testing.T) {
	o := limits(t)
	o.MaxQueue = 1
	url := start(t, fakeServer(t, o, &lengths{}))
	for range 3 {
		for body, status := range map[string]int{
			`{"texts":["abc"]}`: 200, `{"texts":[]}`: 200, `{"texts":`: 400, `{"texts":[1]}`: 400, `{}`: 400,
			`{"texts":["a"],"adapter":"none"}`: 404,
		} {
			if r := send(t, http.MethodPost, url+"/predict", body); r.status != status {
				t.Errorf("%s: %d %s; want %d", body, r.status, r.body, status)
			}
		}
	}
}

// TestFullQueue: a job for which the queue has no room, because clients went away, waits no longer than its request.
func TestFullQueue(t *testing.T) {
	w := newWorker[int](Options{MaxQueue: 1}, nil)
	leave, err := w.admit()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.submit(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	leave()
	leave()
	if leave, err = w.admit(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admit(); err == nil {
		t.Error("a second request is admitted")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errTimeout)
	err = w.submit(ctx, 2)
	leave()
	if err != errTimeout || w.pending.Load() != 0 {
		t.Errorf("%v, %d requests are pending", err, w.pending.Load())
	}
}

// TestMetrics: /metrics is in Prometheus' text format and counts requests, texts and tokens.
func TestMetrics(t *testing.T) {
	url := start(t, labelServer(t, limits(t), drawn(t, "lora", 5, nouns)))
	send(t, http.MethodPost, url+"/predict", `{"texts":["a dog","a cat"]}`)
	send(t, http.MethodPost, url+"/predict", `{`)
	send(t, http.MethodPost, url+"/made/up", "")
	for _, c := range []struct {
		path, code string
		want       float64
	}{{"/predict", "200", 1}, {"/predict", "400", 1}, {"other", "404", 1}} {
		if got := count(t, url, "lor2c_requests_total", c.path, c.code); got != c.want {
			t.Errorf("%s %s: %v; want %v", c.path, c.code, got, c.want)
		}
	}
	all := scrape(t, url)
	batch := all["lor2c_batch_texts"].GetMetric()[0].GetHistogram()
	tokens := all["lor2c_tokens_total"].GetMetric()[0].GetCounter().GetValue()
	if batch.GetSampleCount() != 1 || batch.GetSampleSum() != 2 || tokens < 6 || tokens > 20 {
		t.Errorf("%v and %v tokens; want one batch of two texts", batch, tokens)
	}
	if all["lor2c_request_seconds"] == nil || all["go_goroutines"] == nil {
		t.Error("a histogram of times or the state of the process is missing")
	}
}

func scrape(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(send(t, http.MethodGet, url+"/metrics", "").body))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// gauge returns the value of a metric without labels.
func gauge(t *testing.T, url, name string) float64 {
	t.Helper()
	m := scrape(t, url)[name].GetMetric()[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}

// count returns the value of a counter with the labels code and path.
func count(t *testing.T, url, name, path, code string) float64 {
	t.Helper()
	for _, m := range scrape(t, url)[name].GetMetric() {
		if l := m.GetLabel(); l[0].GetValue() == code && l[1].GetValue() == path {
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

// eventually waits until a state is reached that another goroutine brings about.
func eventually(t *testing.T, reached func() bool) {
	t.Helper()
	for range 2000 {
		if reached() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the state is never reached")
}
