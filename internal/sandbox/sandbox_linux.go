package sandbox

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

//go:embed runner.py
var runner string

// ready is what the process reports directly before it executes Python.
const ready = "ready\n"

// Sandbox runs programs.
type Sandbox struct {
	python     string
	libraries  []string      // folders of Python outside of the system's
	namespaces bool          // the kernel allows namespaces of a process's own
	surrounds  bool          // what is around lor2c holds programs, and not seccomp and landlock
	start      time.Duration // until Python must be ready for a program
}

// Open finds Python and tries the sandbox with a program that must run and one that must not. The error says which
// restriction cannot be set up.
//
// In the mode Container, programs have the limits and no other restriction. It is for a container or a virtual machine
// whose kernel lacks seccomp or landlock, and that has nothing which a program may not read, change or reach.
func Open(ctx context.Context, m Mode) (*Sandbox, error) {
	s := &Sandbox{start: start, surrounds: m == Container}
	if err := s.find(ctx); err != nil {
		return nil, fmt.Errorf("sandbox: open: %w", err)
	}
	const harmless, harmful = "x = 1", "import socket\nsocket.socket()"
	s.namespaces = true
	outcome, err := s.Run(ctx, harmless)
	if err != nil || outcome != Passed {
		s.namespaces = false
		outcome, err = s.Run(ctx, harmless)
	}
	if err != nil {
		return nil, err
	}
	if outcome != Passed {
		return nil, fmt.Errorf("sandbox: open: %s does not run inside it: %s", s.python, outcome)
	}
	if s.surrounds {
		return s, nil
	}
	if outcome, err := s.Run(ctx, harmful); err != nil || outcome != Failed {
		return nil, fmt.Errorf("sandbox: open: a program that opens a socket has %s; want it to fail: %w", outcome, err)
	}
	return s, nil
}

// Layers names the restrictions that are in force.
func (s *Sandbox) Layers() string {
	layers := "seccomp, landlock, limits"
	if s.surrounds {
		layers = "limits"
	}
	if s.namespaces {
		layers += ", namespaces"
	}
	return layers
}

// find finds Python and the folders that it needs.
func (s *Sandbox) find(ctx context.Context) error {
	const question = "import sys; print(sys.executable); print(sys.base_prefix); print(sys.base_exec_prefix)"
	out, err := exec.CommandContext(ctx, "python3", "-I", "-S", "-c", question).Output()
	if err != nil {
		return fmt.Errorf("no Python runs: %w; want a program python3 in PATH", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 {
		return fmt.Errorf("python3 prints %d lines about itself; want 3", len(lines))
	}
	if s.python, err = filepath.EvalSymlinks(lines[0]); err != nil {
		return err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return fmt.Errorf("the user's home directory is not known: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		home = resolved
	}
	for _, dir := range append(lines[1:], filepath.Dir(filepath.Dir(s.python))) {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		if !s.surrounds && (dir == "/" || above(dir, home)) {
			return fmt.Errorf("python3 is installed in %s, where a program could read the user's files; "+
				"want a directory of its own", dir)
		}
		if !above("/usr", dir) {
			s.libraries = append(s.libraries, dir)
		}
	}
	return nil
}

// above says whether a path is a directory or lies in it. Both are absolute.
func above(dir, path string) bool {
	rest, err := filepath.Rel(dir, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}

// Run runs a program and returns its outcome. The error means that it was not executed.
func (s *Sandbox) Run(ctx context.Context, program string) (outcome string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sandbox: run a program: %w", err)
		}
	}()
	dir, err := os.MkdirTemp("", "lor2c-program-")
	if err != nil {
		return "", err
	}
	defer remove(dir)
	word := rand.Text()
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	asked := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := s.command(ctx, dir, word+"\n"+program, write)
	// The kernel sends Pdeathsig when the thread that started the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	write.Close()
	if err != nil {
		return "", err
	}
	watched := make(chan bool, 1)
	go func() {
		full := overflows(ctx, dir)
		cancel()
		watched <- full
	}()
	// The program's own time begins when Python is ready for it, so that a busy machine does not take from it.
	limit := time.AfterFunc(s.start, cancel)
	defer limit.Stop()
	// A process that has left the group can keep the pipe open.
	defer context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Now().Add(time.Second)) })()
	a := listen(read, word, func() bool { return limit.Reset(Wall + time.Second) })
	late := ctx.Err() != nil
	_ = cmd.Cancel() // a process that reported too much
	_ = cmd.Wait()   // how it ended makes no difference
	cancel()
	full := <-watched
	if asked.Err() != nil {
		return "", asked.Err()
	}
	if full {
		return Failed, nil
	}
	return s.outcome(a, word, late)
}

// outcome returns the outcome of a program whose process has ended, by its own account. late means that the process was
// ended because it took too long.
func (s *Sandbox) outcome(a account, word string, late bool) (string, error) {
	switch {
	case !a.started && late:
		return "", fmt.Errorf("it did not start in %v; the machine is too busy", s.start)
	case !a.executed:
		return "", fmt.Errorf("a restriction cannot be set up: %s", strings.TrimSpace(a.said))
	case !a.started:
		return "", fmt.Errorf("%s ended before it read the program", s.python)
	case a.said == word+" "+Passed:
		return Passed, nil
	case a.said == word+" "+TimedOut || late:
		return TimedOut, nil
	}
	return Failed, nil
}

// account is what a process reports.
type account struct {
	executed bool   // it executed Python
	started  bool   // Python read the program, in time
	said     string // what it reported besides that
}

// listen reads what a process reports until it ends. began is called when Python has read the program, and returns
// whether that was in time. word begins what the program cannot report itself.
func listen(read io.Reader, word string, began func() bool) (a account) {
	// Only what exceeds the limit is lost. The process has closed its end of the pipe when it has ended.
	lines := bufio.NewReader(io.LimitReader(read, report))
	first, _ := lines.ReadString('\n')
	if a.executed = first == ready; a.executed {
		first = ""
		second, _ := lines.ReadString('\n')
		a.started = second == word+" started\n" && began()
	}
	rest, _ := io.ReadAll(lines)
	a.said = first + string(rest)
	return a
}

// command returns the process that sets up the restrictions and executes, in dir, the program that it reads from input.
// It writes to `to` what happens.
func (s *Sandbox) command(ctx context.Context, dir, input string, to *os.File) *exec.Cmd {
	mode := Kernel
	if s.surrounds {
		mode = Container
	}
	args := append([]string{childName, string(mode), s.python, dir}, s.libraries...)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	// In a container, a program can have started others. One that has left the group ends only with a namespace of
	// processes.
	cmd.Cancel = func() error {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return cmd.Process.Kill()
	}
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{to}
	cmd.Env = []string{} // Python gets its own
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.namespaces {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
		const nobody = 65534
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// remove removes a program's folder after the program has ended, with the folders in it that cannot be read.
func remove(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// overflows waits until a program has written more to its folder than it may, and returns true, or until ctx ends. The
// kernel bounds only the size of each file.
func overflows(ctx context.Context, dir string) bool {
	const look = 20 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		bytes, entries := int64(0), 0
		err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrPermission) { // the program can still write to a folder that cannot be read
				entries = files + 1
				return fs.SkipAll
			}
			if err != nil {
				return nil // it is gone
			}
			if info, err := e.Info(); err == nil {
				bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
			if entries++; bytes > disk || entries > files {
				return fs.SkipAll
			}
			return ctx.Err()
		})
		if err == nil && (bytes > disk || entries > files) {
			return true
		}
	}
}
