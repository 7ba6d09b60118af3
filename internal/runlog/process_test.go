package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain runs a training process instead of the tests if an environment
// variable names a run directory. Only a separate process can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RUNLOG_TEST_DIR"); dir != "" {
		if err := trainProcess(dir); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// trainProcess logs 700 steps, starting after the last checkpoint. It saves a
// checkpoint every 25 steps, which consists of the step only.
func trainProcess(dir string) error {
	checkpoint := filepath.Join(dir, "checkpoint")
	o := Options{Scores: []string{"accuracy", "f1"}, JSON: true, Resume: true, Step: -1}
	if b, err := os.ReadFile(checkpoint); err == nil {
		if o.Step, err = strconv.Atoi(string(b)); err != nil {
			return err
		}
	}
	r, err := Open(dir, o)
	if err != nil {
		return err
	}
	for s := max(o.Step, 0) + 1; s <= 700; s++ {
		steps(r, s, s)
		if s%25 == 0 {
			if err := r.Sync(); err != nil {
				return err
			}
			if err := writeFile(checkpoint, []byte(strconv.Itoa(s))); err != nil {
				return err
			}
		}
	}
	return r.Close()
}

func process(dir string, stdin *os.File) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "RUNLOG_TEST_DIR="+dir)
	if stdin != nil {
		c.Stdin = stdin
	}
	return c
}

// TestKilledRunEndsWithTheSameBytes: a run that is killed by SIGKILL
// repeatedly, and resumed each time, has the same bytes as an uninterrupted
// run.
func TestKilledRunEndsWithTheSameBytes(t *testing.T) {
	whole, broken := t.TempDir(), t.TempDir()
	if out, err := process(whole, nil).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, lines := range []int{1, 3, 20, 77, 150, 300} {
		c := process(broken, nil)
		stdout, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReaderSize(stdout, 16)
		for range lines {
			if _, err := in.ReadString('\n'); err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		c.Process.Kill()
		c.Wait()
	}
	if read(t, broken, "metrics.jsonl") == read(t, whole, "metrics.jsonl") {
		t.Fatal("no process was killed before it ended")
	}
	if out, err := process(broken, nil).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"metrics.jsonl", "metrics.csv"} {
		if read(t, whole, name) != read(t, broken, name) {
			t.Errorf("%s differs from that of the uninterrupted run", name)
		}
	}
}

// TestStdinIsNotTouchedAndStdoutIsJSON: the process does not read stdin, which
// a batch job may lack or share with another process, and stdout contains only
// the records.
func TestStdinIsNotTouchedAndStdoutIsJSON(t *testing.T) {
	in, give, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	give.WriteString("for the next command")
	give.Close()
	closed := func(c *exec.Cmd) *exec.Cmd {
		c.Args = []string{"sh", "-c", `exec "$0" <&-`, c.Path}
		c.Path, c.Err = "/bin/sh", nil
		return c
	}
	for name, c := range map[string]*exec.Cmd{"pipe": process(t.TempDir(), in),
		"closed": closed(process(t.TempDir(), nil))} {
		t.Run("stdin="+name, func(t *testing.T) {
			stderr := new(bytes.Buffer)
			c.Stderr = stderr
			out, err := c.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
			for line := range strings.Lines(string(out)) {
				if !json.Valid([]byte(line)) {
					t.Fatalf("stdout has the line %q", line)
				}
			}
			dir := strings.TrimPrefix(c.Env[len(c.Env)-1], "RUNLOG_TEST_DIR=")
			if string(out) != read(t, dir, "metrics.jsonl") {
				t.Error("stdout and metrics.jsonl differ")
			}
			if !strings.Contains(stderr.String(), "step 700 loss") || strings.Contains(stderr.String(), "\r") {
				t.Errorf("stderr is\n%s", stderr)
			}
		})
	}
	if left, err := io.ReadAll(in); err != nil || string(left) != "for the next command" {
		t.Errorf("left on stdin: %q, %v", left, err)
	}
}
