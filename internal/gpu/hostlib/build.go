//go:build linux

// Package hostlib runs the kernels on the CPU for tests: it builds kernels/*.cu
// and kernels/host into a libcuda.so.1 with a C++ compiler, under its address
// and undefined-behaviour sanitizers, and starts tests so that they use it.
//
// Environment:
//
//	LOR2C_HOST_SEED  what every order in the library is drawn from; default 1
//	LOR2C_HOST_FAST  1: optimised and without sanitizers, for long runs
//
// kernels/host/driver.h has more, which make the driver unusual.
package hostlib

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNoCompiler is wrapped where there is no C++ compiler with sanitizers, or
// none that the fibers could be built with.
var ErrNoCompiler = errors.New("no C++ compiler with sanitizers")

// Library is a libcuda.so.1 and what a process needs to use it.
type Library struct {
	Path string
	// Env holds the variables that the process starts with, as name=value.
	Env []string
}

// inputs are the sources of the library, below kernels/.
var inputs = []string{"*.cu", "*.cuh", "host/*.h", "host/*.cpp"}

// compiler is a C++ compiler with the flags of one kind of build.
type compiler struct {
	cxx     string
	version string
	asan    string   // library to preload; "" without sanitizers
	kernels []string // flags for what the sanitizers are to watch
	runtime []string // for the fibers, whose switches are by hand
	cache   string
}

// Build builds the library, or finds it where the sources have not changed
// since. The error wraps ErrNoCompiler where a compiler is missing.
func Build() (Library, error) {
	dir, err := kernelDir()
	if err != nil {
		return Library{}, err
	}
	return buildIn(dir)
}

// BuildChanged builds the library from a copy of the kernels in a directory,
// after change has had one file of it: to plant a fault that tests must find.
func BuildChanged(dir, file string, change func(source string) (string, error)) (Library, error) {
	from, err := kernelDir()
	if err != nil {
		return Library{}, err
	}
	if err := os.Mkdir(filepath.Join(dir, "host"), 0o777); err != nil {
		return Library{}, err
	}
	for _, pattern := range inputs {
		paths, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil {
			return Library{}, err
		}
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				return Library{}, err
			}
			name, err := filepath.Rel(from, p)
			if err == nil && name == file {
				var text string
				text, err = change(string(raw))
				raw = []byte(text)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), raw, 0o666)
			}
			if err != nil {
				return Library{}, fmt.Errorf("hostlib: change %s: %w", file, err)
			}
		}
	}
	return buildIn(dir)
}

// buildIn builds the kernels of a directory.
func buildIn(dir string) (Library, error) {
	c, err := newCompiler(os.Getenv("LOR2C_HOST_FAST") == "1")
	if err != nil {
		return Library{}, err
	}
	host := filepath.Join(dir, "host")
	units := []unit{}
	for _, pattern := range []string{filepath.Join(dir, "*.cu"), filepath.Join(host, "*.cpp")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return Library{}, err
		}
		for _, path := range found {
			units = append(units, unit{path, c.flags(path)})
		}
	}
	out, err := c.link(dir, units, "libcuda.so.1", "-shared", "-Wl,-soname,libcuda.so.1")
	if err != nil {
		return Library{}, err
	}
	return Library{Path: out, Env: append(c.env(), "LOR2C_LIBCUDA="+out)}, nil
}

// newCompiler looks for the compiler; fast leaves the sanitizers out.
func newCompiler(fast bool) (*compiler, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("hostlib: %w: fibers switch in assembly of linux/amd64", ErrNoCompiler)
	}
	cxx := os.Getenv("CXX")
	if cxx == "" {
		cxx = "g++"
	}
	path, err := exec.LookPath(cxx)
	if err != nil {
		return nil, fmt.Errorf("hostlib: %w: %w", ErrNoCompiler, err)
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("hostlib: %w: %s --version: %w", ErrNoCompiler, path, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	// Nothing is contracted that the source does not write as fmaf, so that
	// results do not depend on the processor. Memory may be read as another type
	// than it was written as, which nvcc allows.
	common := []string{"-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing", "-g1"}
	c := &compiler{
		cxx: path, version: string(version), cache: filepath.Join(cache, "lor2c", "host"),
		runtime: slices.Concat(common, []string{"-O2"}),
	}
	if fast {
		c.kernels = c.runtime
		return c, nil
	}
	asan, err := exec.Command(path, "-print-file-name=libasan.so").Output()
	c.asan = strings.TrimSpace(string(asan))
	if err != nil || !filepath.IsAbs(c.asan) {
		return nil, fmt.Errorf("hostlib: %w: %s has no libasan.so", ErrNoCompiler, path)
	}
	c.kernels = slices.Concat(common, []string{
		"-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
	})
	c.runtime = append(c.runtime, "-DLOR2C_HOST_ASAN")
	return c, nil
}

// flags returns those of a source. The fibers check what kernels hand to them
// by themselves, and are called a thousand times a launch.
func (c *compiler) flags(path string) []string {
	switch filepath.Base(path) {
	case "fiber.cpp", "block.cpp", "tensorcore.cpp":
		return c.runtime
	}
	return c.kernels
}

// env returns what a process that loads a library of this compiler starts with.
//
// The sanitizer's library must come before all others, hence the preload. Go
// handles SIGSEGV itself, on its own signal stacks, and never frees what
// the sanitizer would call leaked. Both sanitizers abort, upon which Go prints
// the goroutine that was in the driver.
func (c *compiler) env() []string {
	if c.asan == "" {
		return nil
	}
	return []string{
		"LD_PRELOAD=" + c.asan,
		"ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:use_sigaltstack=0:" +
			"abort_on_error=1:allocator_may_return_null=1:quarantine_size_mb=64",
		"UBSAN_OPTIONS=abort_on_error=1:halt_on_error=1:print_stacktrace=1",
	}
}

// unit is a source to compile.
type unit struct {
	path  string
	flags []string
}

// link compiles units, two at a time, and links them to a file of that name.
// Objects and products lie in the cache under a hash of all that they are made
// of.
func (c *compiler) link(dir string, units []unit, name string, flags ...string) (string, error) {
	headers, err := c.headers(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(c.cache, 0o777); err != nil {
		return "", err
	}
	c.prune()
	objects := make([]string, len(units))
	faults := make([]error, len(units))
	var wait sync.WaitGroup
	slots := make(chan struct{}, min(2, runtime.NumCPU()))
	for i, u := range units {
		wait.Go(func() {
			slots <- struct{}{}
			objects[i], faults[i] = c.compile(dir, u, headers)
			<-slots
		})
	}
	wait.Wait()
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	if c.asan != "" {
		flags = append(flags, "-fsanitize=address,undefined")
	}
	return c.make(name, strings.Join(objects, "\n"), func(out string) *exec.Cmd {
		return exec.Command(c.cxx, slices.Concat(flags, []string{"-o", out}, objects)...)
	}, c.version, strings.Join(flags, " "))
}

// compile returns the object of a unit. A kernel file stands in a namespace
// without name: what two of them call alike stays apart, as it does for nvcc.
// Paths in the object begin at kernels/, so that one serves every checkout.
func (c *compiler) compile(dir string, u unit, headers string) (string, error) {
	source, err := os.ReadFile(u.path)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(dir, u.path)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("#include %q\n", name)
	if filepath.Ext(u.path) == ".cu" {
		text = "#include \"host/cuda.h\"\nnamespace {\n" + text + "}\n"
	}
	return c.make(filepath.Base(u.path)+".o", string(source), func(out string) *exec.Cmd {
		cmd := exec.Command(c.cxx, slices.Concat(u.flags, []string{"-I", dir, "-ffile-prefix-map=" + dir + "=kernels", "-x", "c++", "-c", "-", "-o", out})...)
		cmd.Stdin = strings.NewReader(text)
		return cmd
	}, c.version, strings.Join(u.flags, " "), headers, text)
}

// make returns the file of that name that command writes, from the cache where
// it is there. source and made identify it.
func (c *compiler) make(name, source string, command func(out string) *exec.Cmd, made ...string) (string, error) {
	h := sha256.New()
	for _, part := range append(made, source) {
		fmt.Fprintf(h, "%d %s", len(part), part)
	}
	dir := filepath.Join(c.cache, hex.EncodeToString(h.Sum(nil))[:24])
	out := filepath.Join(dir, name)
	// Test processes that start together do not make the same twice.
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("hostlib: lock %s: %w", lock.Name(), err)
	}
	now := time.Now()
	if os.Chtimes(dir, now, now) == nil {
		return out, nil
	}
	temp := dir + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o777)); err != nil {
		return "", err
	}
	cmd := command(filepath.Join(temp, name))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hostlib: %s: %w\n%s", name, err, said.Bytes())
	}
	return out, os.Rename(temp, dir)
}

// prune removes what nobody has asked for in two weeks.
func (c *compiler) prune() {
	entries, _ := os.ReadDir(c.cache)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 14*24*time.Hour {
			_ = os.RemoveAll(filepath.Join(c.cache, e.Name()))
		}
	}
}

// headers returns the text of all that sources include.
func (c *compiler) headers(dir string) (string, error) {
	var all strings.Builder
	for _, pattern := range []string{"*.cuh", "host/*.h"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&all, "%s %d\n%s", filepath.Base(p), len(raw), raw)
		}
	}
	return all.String(), nil
}

// kernelDir finds kernels/ in the module that the working directory belongs to.
func kernelDir() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "kernels"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("hostlib: %s is in no Go module: the kernels are found beside go.mod", at)
		}
	}
}
