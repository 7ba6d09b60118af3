package serve

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the counters of a server.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
	batch    prometheus.Histogram
	tokens   *prometheus.CounterVec
}

// newMetrics returns the counters of a server. queued returns the number of requests that are computed or wait for it.
func newMetrics(queued func() int64) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lor2c_requests_total", Help: "Answered requests, by path and status. 499 is a client that went away.",
		}, []string{"path", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lor2c_request_seconds", Help: "Time from the header of a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18),
		}, []string{"path"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lor2c_panics_total", Help: "Requests and computations that met a bug.",
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lor2c_batch_texts", Help: "Texts that were computed together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lor2c_tokens_total", Help: "Tokens of prompts and of their continuations.",
		}, []string{"kind"}),
	}
	depth := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lor2c_queue_requests", Help: "Requests that are computed or wait for it.",
	}, func() float64 { return float64(queued()) })
	m.registry.MustRegister(m.requests, m.seconds, m.panics, m.batch, m.tokens, depth, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler returns the handler of /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe counts an answer.
func (m *metrics) observe(a *answer) {
	path := "other" // so that clients cannot make new series
	if _, after, ok := strings.Cut(a.path, " "); ok {
		path = after
	}
	m.requests.WithLabelValues(path, strconv.Itoa(a.status)).Inc()
	m.seconds.WithLabelValues(path).Observe(time.Since(a.started).Seconds())
}
