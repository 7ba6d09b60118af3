//go:build linux

// Package hostlib runs the kernels on the CPU for tests: it builds kernels/*.cu
// and kernels/host into a libcuda.so.1 with a C++ compiler, under its address
// and undefined-behaviour sanitizers, and starts tests so that they use it.
//
// Environment:
//
//	LOR2C_HOST_SEED  seed of every random order in the library; default 1
//	LOR2C_HOST_FAST  1: optimised and without sanitizers, for long runs
//	LOR2C_HOST_MODE  races: without sanitizers; ends the process at two accesses of a kernel that nothing orders
//	                 accesses: without sanitizers; counts sectors, bank wavefronts and barriers
//	                 card: without sanitizers; arithmetic as on a card, of which the seed selects one
//
// kernels/host/driver.h lists more variables, which make the driver behave in unusual ways.
package hostlib

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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

// ErrNoCompiler is wrapped by errors that report that there is no C++ compiler with sanitizers, or none that can
// build the fibers.
var ErrNoCompiler = errors.New("no C++ compiler with sanitizers")

// Library is a libcuda.so.1 with everything that a process needs to use it.
type Library struct {
	Path string
	// Env has the environment variables of such a process, as name=value.
	Env []string
}

// inputs are the sources of the library, below kernels/.
var inputs = []string{"*.cu", "*.cuh", "host/*.h", "host/*.cpp"}

// compiler is a C++ compiler with the flags of one kind of build.
type compiler struct {
	kind    kind
	cxx     string
	version string
	asan    string   // library to preload; "" without sanitizers
	kernels []string // flags for code that the sanitizers check
	runtime []string // flags for the fibers, which switch stacks themselves
	cache   string
	// progress gets a line for every source that is compiled, and none for those in the cache.
	progress io.Writer
}

// Build builds the library. If the sources have not changed it returns the library from the cache. The error wraps
// ErrNoCompiler if a compiler is missing. Build writes a line to progress for every source that it has compiled.
func Build(progress io.Writer) (Library, error) {
	dir, err := kernelDir()
	if err != nil {
		return Library{}, err
	}
	return buildIn(dir, kindOfEnv(), progress)
}

// BuildMode builds the library for processes in which LOR2C_HOST_MODE is mode.
func BuildMode(mode string) (Library, error) {
	dir, err := kernelDir()
	if err != nil {
		return Library{}, err
	}
	lib, err := buildIn(dir, kindOfMode(mode), io.Discard)
	lib.Env = append(lib.Env, "LOR2C_HOST_MODE="+mode)
	return lib, err
}

// BuildChanged copies the kernels to a directory, applies change to one file and builds the library from the copy.
// Tests use it to plant a fault that must be found. mode is as for [BuildMode], or "".
func BuildChanged(dir, mode, file string, change func(source string) (string, error)) (Library, error) {
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
	k := kindOfEnv()
	if mode != "" {
		k = kindOfMode(mode)
	}
	lib, err := buildIn(dir, k, io.Discard)
	if mode != "" {
		lib.Env = append(lib.Env, "LOR2C_HOST_MODE="+mode)
	}
	return lib, err
}

// buildIn builds the kernels of a directory.
func buildIn(dir string, k kind, progress io.Writer) (Library, error) {
	c, err := newCompiler(k)
	if err != nil {
		return Library{}, err
	}
	c.progress = progress
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
	// Every start would repeat the self-check in tests that have their own cache directory.
	return Library{Path: out, Env: append(c.env(), "LOR2C_LIBCUDA="+out, "LOR2C_SELF_CHECK=0")}, nil
}

// kind is a kind of build.
type kind int

const (
	sanitized kind = iota
	fast           // optimised
	watched        // reports accesses to memory to kernels/host/watch.cpp
	card           // optimised, with the arithmetic of kernels/host/numerics.h
)

// kindOfMode returns the kind of build for a value of LOR2C_HOST_MODE.
func kindOfMode(mode string) kind {
	if mode == "card" {
		return card
	}
	return watched
}

// kindOfEnv returns the kind of build that the environment asks for.
func kindOfEnv() kind {
	switch {
	case os.Getenv("LOR2C_HOST_MODE") != "":
		return kindOfMode(os.Getenv("LOR2C_HOST_MODE"))
	case os.Getenv("LOR2C_HOST_FAST") == "1":
		return fast
	}
	return sanitized
}

// newCompiler returns the compiler for a kind of build.
func newCompiler(k kind) (*compiler, error) {
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
	// Only fmaf in the source becomes a fused multiply-add, so that results do not depend on the processor. Like
	// nvcc, the compiler must allow memory to be read as another type than it was written as.
	common := []string{"-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing", "-g1"}
	c := &compiler{
		kind: k, cxx: path, version: string(version), cache: filepath.Join(cache, "lor2c", "host"),
		runtime: slices.Concat(common, []string{"-O2"}), progress: io.Discard,
	}
	switch k {
	case fast:
		c.kernels = c.runtime
		return c, nil
	case card:
		c.runtime = append(c.runtime, "-DLOR2C_HOST_CARD")
		c.kernels = append(slices.Clone(c.runtime), "-ffp-contract=fast", "-mfma")
		return c, nil
	case watched:
		// Without optimisation an access of the source is one access, of the same width. The run-time library of the
		// thread sanitizer is not linked: watch.cpp has its functions.
		c.kernels = slices.Concat(common, []string{"-O0", "-fsanitize=thread", "-DLOR2C_HOST_WATCH"})
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

// flags returns the flags for a source. The fibers are not sanitized: they check the arguments of kernels themselves,
// and a launch calls them thousands of times.
func (c *compiler) flags(path string) []string {
	switch name := filepath.Base(path); name {
	case "fiber.cpp", "block.cpp", "tensorcore.cpp", "places.cpp", "watch.cpp",
		"warpgroup.cpp", "mbarrier.cpp", "wgmma.cpp", "order.cpp", "shadow.cpp":
		return c.runtime
	default:
		if c.kind == watched && filepath.Base(filepath.Dir(path)) == "host" {
			return c.runtime
		}
	}
	return c.kernels
}

// env returns the environment of a process that loads a library built by this compiler.
//
// The sanitizer's library must come before all others, hence LD_PRELOAD. Go handles SIGSEGV itself, on its own signal
// stacks, and does not free all memory at exit, so leaks are not checked. Both sanitizers abort, and Go then prints
// the goroutine that called the driver.
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

// link compiles units, two at a time, and links them into a file of the given name. Objects and results are cached
// under a hash of everything that they are made from.
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
	var done sync.Mutex // held while a source is counted and reported
	n := 0
	slots := make(chan struct{}, min(2, runtime.NumCPU()))
	for i, u := range units {
		wait.Go(func() {
			slots <- struct{}{}
			compiled := false
			objects[i], compiled, faults[i] = c.compile(dir, u, headers)
			<-slots
			done.Lock()
			defer done.Unlock()
			n++
			if compiled {
				fmt.Fprintf(c.progress, "kernels on the CPU: %d of %d: compiled %s\n", n, len(units), filepath.Base(u.path))
			}
		})
	}
	wait.Wait()
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	if c.asan != "" {
		flags = append(flags, "-fsanitize=address,undefined")
	}
	out, _, err := c.make(name, strings.Join(objects, "\n"), func(out string) *exec.Cmd {
		return exec.Command(c.cxx, slices.Concat(flags, []string{"-o", out}, objects)...)
	}, c.version, strings.Join(flags, " "))
	return out, err
}

// compile returns the object file of a unit, and whether it was compiled and not in the cache. A kernel file is
// compiled inside an unnamed namespace, so that equal names in two files do not clash, as with nvcc. Paths in the
// object begin at kernels/, so that all checkouts can share it.
func (c *compiler) compile(dir string, u unit, headers string) (object string, compiled bool, err error) {
	source, err := os.ReadFile(u.path)
	if err != nil {
		return "", false, err
	}
	name, err := filepath.Rel(dir, u.path)
	if err != nil {
		return "", false, err
	}
	text := fmt.Sprintf("#include %q\n", name)
	if filepath.Ext(u.path) == ".cu" {
		text = "#include \"host/cuda.h\"\nnamespace {\n" + text + "}\n"
	}
	return c.make(filepath.Base(u.path)+".o", string(source), func(out string) *exec.Cmd {
		cmd := exec.Command(
			c.cxx,
			slices.Concat(u.flags,
				[]string{"-I", dir, "-ffile-prefix-map=" + dir + "=kernels", "-x", "c++", "-c", "-", "-o", out})...,
		)
		cmd.Stdin = strings.NewReader(text)
		return cmd
	}, c.version, strings.Join(u.flags, " "), headers, text)
}

// make returns the file of the given name that command writes, or the cached file if there is one, and whether
// command ran. source and made identify the file.
func (c *compiler) make(
	name, source string, command func(out string) *exec.Cmd, made ...string,
) (path string, ran bool, err error) {
	h := sha256.New()
	for _, part := range append(made, source) {
		fmt.Fprintf(h, "%d %s", len(part), part)
	}
	dir := filepath.Join(c.cache, hex.EncodeToString(h.Sum(nil))[:24])
	out := filepath.Join(dir, name)
	// The lock keeps test processes that start together from making the same file twice.
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", false, fmt.Errorf("hostlib: lock %s: %w", lock.Name(), err)
	}
	now := time.Now()
	if os.Chtimes(dir, now, now) == nil {
		return out, false, nil
	}
	temp := dir + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o777)); err != nil {
		return "", false, err
	}
	cmd := command(filepath.Join(temp, name))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return "", false, fmt.Errorf("hostlib: %s: %w\n%s", name, err, said.Bytes())
	}
	return out, true, os.Rename(temp, dir)
}

// prune removes files that have not been used for two weeks.
func (c *compiler) prune() {
	entries, _ := os.ReadDir(c.cache)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 14*24*time.Hour {
			_ = os.RemoveAll(filepath.Join(c.cache, e.Name()))
		}
	}
}

// headers returns the text of all headers.
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
			return "", fmt.Errorf("hostlib: %s is not in a Go module; the kernels are searched next to go.mod", at)
		}
	}
}
