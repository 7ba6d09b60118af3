// Command serve_load starts lor2c serve, sends requests from many clients at a time, and prints how long the answers
// took, whether equal texts got equal answers, and how much memory the server used. With -stop-after it sends SIGTERM
// in the middle, and compares the answers that the clients have with those that the server counts.
//
//	go run ./scripts/serve_load -texts demo/data/test.tsv -- bin/lor2c serve --run runs/demo/lor2c --listen 127.0.0.1:0
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	requests  = flag.Int("requests", 10000, "number of requests")
	clients   = flag.Int("clients", 64, "requests at a time")
	stopAfter = flag.Int("stop-after", 0, "send SIGTERM after this number of answers; 0 is after all")
	file      = flag.String("texts", "demo/data/test.tsv", "file with a header line, then lines of a text and a tab")
)

func main() {
	flag.Parse()
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "serve_load:", err)
		os.Exit(1)
	}
}

// server is a server that was started.
type server struct {
	*exec.Cmd
	url     string
	answers chan int // what it says when it has stopped
}

var (
	serving = regexp.MustCompile(`serving .* on (http://\S+)`)
	stopped = regexp.MustCompile(`stopped after (\d+) answers?`)
)

// start starts a server and waits until it is ready.
func start(args []string) (*server, error) {
	if len(args) == 0 {
		return nil, errors.New("name the command that starts the server after --")
	}
	s := &server{Cmd: exec.Command(args[0], args[1:]...), answers: make(chan int, 1)}
	out, err := s.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(os.Stderr, lines.Text())
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
			if m := stopped.FindStringSubmatch(lines.Text()); m != nil {
				n, _ := strconv.Atoi(m[1])
				s.answers <- n
			}
		}
		close(ready)
		close(s.answers)
	}()
	url, ok := <-ready
	if !ok {
		return nil, fmt.Errorf("the server ended: %v", s.Wait())
	}
	s.url = url
	return s, nil
}

// memory returns the resident memory of the server in MiB.
func (s *server) memory() float64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	kib, _ := strconv.ParseFloat(append(strings.Fields(rest), "0")[0], 64)
	return kib / 1024
}

// load is what the clients have seen.
type load struct {
	mu        sync.Mutex
	seconds   []float64
	first     map[string]string // answer to each text
	different int
	failed    map[string]int
	mib       []float64
}

func run(args []string) error {
	raw, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	var texts []string
	for line := range strings.Lines(string(raw)) {
		text, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		texts = append(texts, text)
	}
	texts = texts[1:]
	s, err := start(args)
	if err != nil {
		return err
	}
	l := &load{first: map[string]string{}, failed: map[string]int{}}
	began := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *clients}}
	for range *clients {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= *requests || !l.ask(client, s, texts[i%len(texts)]) {
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	if *stopAfter == 0 {
		if err := s.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	counted := <-s.answers
	exit := s.Wait()
	slices.Sort(l.seconds)
	n := len(l.seconds)
	at := func(q float64) float64 { return 1000 * l.seconds[min(n-1, int(q*float64(n)))] }
	fmt.Printf("%d answers in %.1f s, %.0f a second, %d at a time\n", n, took, float64(n)/took, *clients)
	fmt.Printf("p50 %.1f ms, p99 %.1f ms, longest %.1f ms\n", at(0.5), at(0.99), at(1))
	fmt.Printf("%d texts got different answers; failed: %v\n", l.different, l.failed)
	fmt.Printf("the server counts %d answers, so %d were lost; it ended with: %v\n", counted, counted-n, exit)
	fmt.Printf("resident memory in MiB after each tenth: %.0f\n", l.mib)
	if counted != n || l.different > 0 || exit != nil || *stopAfter == 0 && n != *requests {
		return errors.New("requests were lost, or answers differ")
	}
	return nil
}

// ask sends one request, and reports whether there is a server for another.
func (l *load) ask(client *http.Client, s *server, text string) bool {
	body, _ := json.Marshal(map[string]any{"texts": []string{text}})
	began := time.Now()
	r, err := client.Post(s.url+"/predict", "application/json", bytes.NewReader(body))
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(r.Body)
		r.Body.Close()
	}
	took := time.Since(began).Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed["without an answer"]++
		return false
	}
	l.seconds = append(l.seconds, took)
	if r.StatusCode != http.StatusOK {
		l.failed[r.Status]++
		return true
	}
	if was, ok := l.first[text]; !ok {
		l.first[text] = string(answer)
	} else if was != string(answer) {
		l.different++
	}
	if n := len(l.seconds); n%(*requests/10) == 0 {
		l.mib = append(l.mib, s.memory())
	}
	if len(l.seconds) == *stopAfter {
		_ = s.Process.Signal(syscall.SIGTERM)
	}
	return true
}
