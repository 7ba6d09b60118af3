//go:build cuda && cgo && linux && amd64

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// with runs the command with the driver that env names.
func with(t *testing.T, env []string, args ...string) result {
	t.Helper()
	c := command(t, args...)
	c.Env = append(c.Env, env...)
	return finish(t, c)
}

// host returns the environment variables of a driver whose card is simulated on
// the CPU.
func host(t *testing.T) []string {
	t.Helper()
	lib, err := hostlib.Build(io.Discard)
	if errors.Is(err, hostlib.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lib.Env
}

// TestLostCard: if the card is lost in the middle of a run, the command prints
// one line, has its own exit code, and the same command continues to the bytes
// of an uninterrupted run. On a card with too little memory no run begins.
func TestLostCard(t *testing.T) {
	env := host(t)
	args := append(onRows(t, 16, ""), "--device", "cuda", "--set", "train.batch_size=4", "--set", "data.max_length=8",
		"--set", "train.save_every=1")
	// With so few rows, dev has labels that do not occur in train.
	for _, a := range args {
		if path, ok := strings.CutPrefix(a, "data.train="); ok {
			args = append(args, "--set", "data.dev="+path)
		}
	}
	to := func(out string) []string { return append(args, "--out", out) }
	lost, uninterrupted := filepath.Join(t.TempDir(), "lost"), filepath.Join(t.TempDir(), "uninterrupted")

	// A step has two updates, of which the first is the adapter's.
	r := with(t, append(env, "LOR2C_HOST_FAIL=kernel:adamw_f32 5 719"), to(lost)...)
	last := r.stderr[strings.LastIndexByte(strings.TrimSpace(r.stderr), '\n')+1:]
	if r.code != exitLost || !strings.HasPrefix(last, "train: after step 2 of 4: the device failed: gpu: ") ||
		!strings.Contains(last, "CUDA_ERROR_LAUNCH_FAILED") ||
		!strings.HasSuffix(last, "; the same command continues from "+lost+"/checkpoint-2\n") {
		t.Errorf("a card that is lost: exit code %d, last line %q", r.code, last)
	}
	// The device needs 64 MiB for itself.
	r = with(t, append(env, "LOR2C_HOST_MEMORY=70000000"), to(uninterrupted)...)
	if want := "train: plan: "; r.code != exitLost || !strings.HasPrefix(r.stderr, want) ||
		strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a card with too little memory: exit code %d, stderr %q; want %d and one line that begins with %q", r.code,
			r.stderr, exitLost, want)
	}
	for _, out := range []string{lost, uninterrupted} {
		if r := with(t, env, to(out)...); r.code != 0 {
			t.Fatalf("exit code %d, stderr %q", r.code, r.stderr)
		}
	}
	for _, name := range []string{"metrics.jsonl", "final/adapter_model.safetensors",
		"checkpoint-4/optimizer.safetensors"} {
		got, err := os.ReadFile(filepath.Join(lost, name))
		want, missing := os.ReadFile(filepath.Join(uninterrupted, name))
		if err != nil || missing != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from that of an uninterrupted run: %v, %v", name, err, missing)
		}
	}
}

// compiled compiles a driver from a C file of the tests of package driver, and returns the environment variable that
// makes the command open it.
func compiled(t *testing.T, file string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to make a driver with")
	}
	so := filepath.Join(t.TempDir(), "libcuda.so.1")
	source := filepath.Join("..", "..", "internal", "gpu", "driver", "testdata", file)
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", so, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return "LOR2C_LIBCUDA=" + so
}

// TestDriverIsNotOpened: a command that needs no card does not open the driver. A command that asks for one opens and
// initializes it once.
func TestDriverIsNotOpened(t *testing.T) {
	driver := compiled(t, "counting.c")
	for name, c := range map[string]struct {
		args []string
		code int
		want string // calls of the driver
	}{
		"help":    {[]string{"--help"}, 0, ""},
		"version": {[]string{"version"}, 0, ""},
		"methods": {[]string{"methods"}, 0, ""},
		"mistake": {[]string{"trian"}, exitUsage, ""},
		"cpu":     {append(short(t, t.TempDir()), "--device", "cpu"), 0, ""},
		"cuda":    {append(short(t, t.TempDir()), "--device", "cuda"), exitDevice, "open cuInit"},
		"doctor":  {[]string{"doctor"}, 0, "open cuInit"},
	} {
		t.Run("command="+name, func(t *testing.T) {
			calls := filepath.Join(t.TempDir(), "calls")
			r := with(t, []string{driver, "LOR2C_TEST_CALLS=" + calls}, c.args...)
			if r.code != c.code {
				t.Fatalf("exit code %d, stderr %q; want %d", r.code, r.stderr, c.code)
			}
			got, err := os.ReadFile(calls)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if all := strings.Join(strings.Fields(string(got)), " "); all != c.want {
				t.Errorf("calls of the driver %q; want %q", all, c.want)
			}
		})
	}
}

// TestDrivers starts the command without a driver, with a driver that has no
// card, and with one whose card is simulated on the CPU.
func TestDrivers(t *testing.T) {
	const none = "LOR2C_LIBCUDA=/nowhere/libcuda.so.1"
	noCard := func(t *testing.T) []string { return []string{compiled(t, "nodevice.c")} }
	for name, c := range map[string]struct {
		env            func(t *testing.T) []string
		doctor, reason string
	}{
		"none": {func(*testing.T) []string { return []string{none} }, "no driver: /nowhere/libcuda.so.1",
			"no driver: /nowhere/libcuda.so.1"},
		"no_cards": {noCard, "a driver, but no card", "a driver, but no card"},
	} {
		t.Run("driver="+name, func(t *testing.T) {
			env := c.env(t)
			if r := with(t, env, "doctor"); r.code != 0 || !strings.Contains(r.stdout, c.doctor) ||
				!strings.Contains(r.stdout, "device           cpu") {
				t.Errorf("doctor: %+v; want %q", r, c.doctor)
			}
			r := with(t, env, append(short(t, t.TempDir()), "--device", "cuda")...)
			if want := "lor2c: open device cuda:0: gpu: open cuda:0: " + c.reason; r.code != exitDevice ||
				!strings.HasPrefix(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("train --device cuda: exit code %d, stderr %q; want %d and one line that begins with %q", r.code, r.stderr,
					exitDevice, want)
			}
			r = with(t, env, append(short(t, t.TempDir()), "--device", "auto")...)
			if want := "lor2c: no usable GPU (" + c.reason; r.code != 0 || !strings.Contains(r.stderr, want) {
				t.Errorf("train --device auto: exit code %d, stderr %q; want %q and a run", r.code, r.stderr, want)
			}
		})
	}
	t.Run("driver=host", func(t *testing.T) {
		env := host(t)
		r := with(t, env, "doctor")
		for _, want := range []string{"driver           CUDA 12.4", "cuda:0           Host Fibers 0, compute capability 8.6",
			"GiB free, GPU-5a5a", "code object "} {
			if r.code != 0 || !strings.Contains(r.stdout, want) {
				t.Errorf("doctor: %+v; want %q", r, want)
			}
		}
		if strings.Contains(r.stdout, "missing") {
			t.Errorf("doctor reports missing entry points: %s", r.stdout)
		}
		r = with(t, env, append(short(t, t.TempDir()), "--device", "cuda:9")...)
		if want := "gpu: open cuda:9: "; r.code != exitDevice || !strings.Contains(r.stderr, want) {
			t.Errorf("train --device cuda:9: exit code %d, stderr %q; want %d and %q", r.code, r.stderr, exitDevice, want)
		}
	})
}
