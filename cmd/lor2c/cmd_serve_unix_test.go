//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestServe: the server of a decoder answers what generate writes, and a signal ends it with 0.
func TestServe(t *testing.T) {
	c := command(t, "serve", "--model", "demo/decoder", "--device", "cpu", "--listen", "127.0.0.1:0", "--context", "100")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	at := regexp.MustCompile(`^lor2c: serving decoder on (http://127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(line)
	if at == nil {
		t.Fatalf("%q, %v", line, err)
	}
	answer, err := http.Post(at[1]+"/v1/completions", "application/json",
		strings.NewReader(`{"prompt":"Once upon a time","max_tokens":20,"temperature":0}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct{ Choices []struct{ Text string } }
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || len(got.Choices) != 1 {
		t.Fatalf("%s: %+v, %v", answer.Status, got, err)
	}
	r := run(t, "generate", "--model", "demo/decoder", "--device", "cpu", "-p", "Once upon a time", "--max-new-tokens",
		"20")
	if want := "Once upon a time" + got.Choices[0].Text + "\n"; r.stdout != want {
		t.Errorf("the server writes %q, and generate %+v", want, r)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	if err := c.Wait(); err != nil || string(rest) != "lor2c: stopped after 1 answer\n" {
		t.Errorf("%v, %q", err, rest)
	}
}

// TestServeMistakes: a server that cannot or must not start ends with one line and the code of a mistake.
func TestServeMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"": "name an adapter with --adapter DIR, a run with --run DIR, or a decoder with --model DIR",
		"--model demo/decoder --listen 0.0.0.0:0":                        "name a file with one by --token-file",
		"--model demo/decoder --listen :0":                               "can be reached from other machines",
		"--model demo/decoder --listen localhost":                        "want host:port, such as 127.0.0.1:8080",
		"--model demo/decoder --listen 192.0.2.1:0 --token-file LICENSE": "has no token, or one with spaces",
		"--model demo/decoder --token-file none":                         "open none: no such file",
		"--model demo/decoder --max-queue 0":                             "--max-queue is too small",
		"--model demo/decoder --max-queue 0 --timeout 0s --batch -1":     "--batch is too small",
		"--model demo/decoder --timeout 2500000h":                        "want at most 1000h0m0s",
		"--model demo/decoder --template x":                              `--template is "x"; want one of none`,
		"--model demo/decoder --listen 127.0.0.1:0 --adapter-root none":  "--adapter-root none is not a directory",
		"--adapter a=x --adapter a=y":                                    `two adapters are called "a"`,
		"--adapter a+b=x":                                                `the name of an adapter is "a+b"`,
		"--adapter none --listen 127.0.0.1:0":                            "want a directory that lor2c train or PEFT wrote",
		"--model demo/model --listen 127.0.0.1:0":                        `model_type is "roberta"`,
	} {
		t.Run("args="+strings.ReplaceAll(args, "/", "_"), func(t *testing.T) {
			r := run(t, append([]string{"serve", "--device", "cpu"}, strings.Fields(args)...)...)
			if r.code != exitUsage || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%+v; want %q", r, want)
			}
		})
	}
}
