//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf/arch"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// open opens the sandbox, or skips the test where the system cannot have it.
func open(t *testing.T) *Sandbox {
	t.Helper()
	s, err := Open(context.Background(), Kernel)
	if err != nil {
		t.Skipf("this system has no sandbox: %v", err)
	}
	return s
}

// outcome runs a program and returns its outcome.
func outcome(t *testing.T, s *Sandbox, program string) string {
	t.Helper()
	got, err := s.Run(context.Background(), program)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// variants returns a sandbox as it is without namespaces and, where the kernel allows them, with them.
func variants(s *Sandbox) map[string]*Sandbox {
	without := *s
	without.namespaces = false
	all := map[string]*Sandbox{"none": &without}
	if s.namespaces {
		all["own"] = s
	}
	return all
}

// TestPrograms: programs of HumanEval's kind run, and the outcome says how they ended.
func TestPrograms(t *testing.T) {
	s := open(t)
	for name, c := range map[string]struct{ program, want string }{
		"passes": {"def f(x):\n    return x + 1\n\ndef check(g):\n    assert g(1) == 2\ncheck(f)", Passed},
		"wrong":  {"assert 1 == 2", Failed},
		"syntax": {"def f(:", Failed},
		"modules": {
			"import collections, copy, hashlib, math, random, re, string, typing, itertools, functools, heapq, datetime", Passed,
		},
		"tools": {
			"import ctypes, fcntl, multiprocessing, os, resource, shutil, socket, subprocess, tempfile\n" +
				"assert ctypes.CDLL(None).getpid() == os.getpid()\nresource.getrlimit(resource.RLIMIT_AS)\n" +
				"f = tempfile.TemporaryFile()\nfcntl.fcntl(f, fcntl.F_GETFD)\n" +
				"with tempfile.TemporaryDirectory() as d:\n    open(d + '/a', 'w').write('x')\n" +
				"    shutil.copyfile(d + '/a', d + '/b')", Passed,
		},
		"threads":   {"import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()", Passed},
		"own files": {"open('a.txt', 'w').write('x')\nassert open('a.txt').read() == 'x'", Passed},
		"output":    {"print('x' * 10**6)", Passed},
		"name":      {"assert __name__ == 'builtins'", Passed},
		"exit":      {"exit()", Failed},
		"input":     {"input()", Failed},
		"sys.exit":  {"import sys\nsys.exit(0)", Failed},
		"os._exit":  {"import os\nos._exit(0)", Failed},
		"interrupt": {"raise KeyboardInterrupt", Failed},
		"forever":   {"while True: pass", TimedOut},
		"deaf":      {"while True:\n    try:\n        while True: pass\n    except BaseException: pass", TimedOut},
		"recursion": {"def f(): f()\nf()", Failed},
		"own word":  {"import os\nos.write(3, b'passed')\nos._exit(0)", Failed},
		"flood":     {"import os\nwhile True: os.write(3, b'x' * 4096)", Failed},
	} {
		for own, s := range variants(s) {
			t.Run("program="+name+"/namespaces="+own, func(t *testing.T) {
				t.Parallel()
				start := time.Now()
				if got := outcome(t, s, c.program); got != c.want {
					t.Errorf("it has %s; want %s", got, c.want)
				}
				if d := time.Since(start); d > 30*time.Second {
					t.Errorf("it took %v", d)
				}
			})
		}
	}
}

// TestDisk: a program whose files take too much space, or are too many, ends before its time is over. A few files do
// not end it.
func TestDisk(t *testing.T) {
	s := open(t)
	for name, c := range map[string]struct{ program, want string }{
		"space": {"i = 0\nwhile True:\n    i += 1\n    with open('a%d' % i, 'wb') as f: f.write(b'x' * (1 << 20))", Failed},
		"files": {"i = 0\nwhile True:\n    i += 1\n    open('a%d' % i, 'w').close()", Failed},
		"folders": {"import os\ni = 0\nwhile True:\n    i += 1\n    os.makedirs('%d/a' % i)\n" +
			"    with open('%d/a/b' % i, 'wb') as f: f.write(b'x' * (1 << 19))", Failed},
		"closed folder": {"import os\nos.mkdir('x', 0o300)\ni = 0\nwhile True:\n    i += 1\n" +
			"    with open('x/a%d' % i, 'wb') as f: f.write(b'x' * (1 << 20))", Failed},
		"few": {"import time\nfor i in range(9):\n    with open('a%d' % i, 'wb') as f: f.write(b'x' * (1 << 20))\n" +
			"time.sleep(0.2)", Passed},
	} {
		for own, s := range variants(s) {
			t.Run("program="+name+"/namespaces="+own, func(t *testing.T) {
				t.Parallel()
				if got := outcome(t, s, c.program); got != c.want {
					t.Errorf("it has %s; want %s", got, c.want)
				}
			})
		}
	}
}

// TestContainer: in a container, outcomes are the same and limits hold, and nothing else does. A program and those that
// it has started end together.
func TestContainer(t *testing.T) {
	s, err := Open(context.Background(), Container)
	if err != nil {
		t.Skipf("programs do not run here: %v", err)
	}
	if got := strings.TrimSuffix(s.Layers(), ", namespaces"); got != "limits" {
		t.Errorf("layers %s", got)
	}
	const fork = "import os, time\nif os.fork() == 0:\n    os.close(3)\n    time.sleep(60)\n"
	for program, want := range map[string]string{
		"assert 1 == 1": Passed, "assert 1 == 2": Failed, "import os\nos._exit(0)": Failed, "x = bytearray(2 << 30)": Failed,
		"assert 'NoNewPrivs:\\t1' in open('/proc/self/status').read()": Passed,
		// A process that leaves the group does not hold up the outcome.
		"import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(50)\n    os._exit(0)\nos._exit(0)": Failed,
		"while True: pass": TimedOut, "import socket\nsocket.socket()": Passed, fork + "while True: pass": TimedOut,
	} {
		start := time.Now()
		if got := outcome(t, s, program); got != want {
			t.Errorf("%q has %s; want %s", program, got, want)
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%q took %v", program, d)
		}
	}
}

// TestEscapes: attempts to reach what is outside fail, and what is outside is as it was.
func TestEscapes(t *testing.T) {
	s := open(t)
	dir := t.TempDir()
	secret, escape := filepath.Join(dir, "secret"), filepath.Join(dir, "escape")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(secret)
	if err != nil {
		t.Fatal(err)
	}
	abs := func(path string) string { return fmt.Sprintf("%q", path) }
	const library = "import ctypes, fcntl, os, resource\nc = ctypes.CDLL(None, use_errno=True)\n"
	// The parent is named by its number in this test's namespace.
	pid := os.Getpid()
	about := func(program string, args ...any) string { return library + fmt.Sprintf(program, args...) }
	for name, program := range map[string]string{
		"read a file":    "open(" + abs(secret) + ").read()",
		"read passwd":    "open('/etc/passwd').read()",
		"read init":      "open('/proc/1/environ', 'rb').read()",
		"read parent":    about("open('/proc/%d/environ', 'rb').read()", pid),
		"write a file":   "open(" + abs(secret) + ", 'w').write('x')",
		"remove a file":  "import os\nos.remove(" + abs(secret) + ")",
		"link to it":     "import os\nos.symlink(" + abs(secret) + ", 'l')\nopen('l').read()",
		"write tmp":      "open(" + abs(escape) + ", 'w').write('x')",
		"list root":      "import os\nos.listdir('/')",
		"socket":         "import socket\nsocket.socket()",
		"unix socket":    "import socket\nsocket.socket(socket.AF_UNIX)",
		"pair":           "import socket\nsocket.socketpair()",
		"fork":           "import os\nos.fork()",
		"spawn":          "import os\nos.posix_spawn('/bin/true', ['true'], {})",
		"subprocess":     "import subprocess\nsubprocess.run(['/bin/true'])",
		"system":         "import os\nassert os.system('true') == 0",
		"processes":      "import multiprocessing as m\np = m.Process()\np.start()\np.join()\nassert not p.exitcode",
		"kill parent":    about("os.kill(%d, 0)", pid),
		"kill group":     about("os.killpg(%d, 0)", syscall.Getpgrp()),
		"memory":         "x = bytearray(2 << 30)",
		"large file":     "f = open('a', 'wb')\nf.write(b'x' * (2 << 20))\nf.flush()",
		"many files":     "f = [open('a%d' % i, 'w') for i in range(100)]",
		"new namespace":  "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
		"trace":          "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
		"raise a limit":  "import resource as r\nr.setrlimit(r.RLIMIT_AS, (1 << 40, 1 << 40))",
		"raise priority": "import os\nos.setuid(0) if os.getuid() else os.fork()",
		"mount":          "import ctypes\nassert ctypes.CDLL(None).mount(b'/', b'.', None, 4096, None) == 0",
		"change mode":    about("os.chmod(%q, 0)", secret),
		"change owner":   about("os.chown(%q, os.getuid(), os.getgid())", secret),
		"change times":   about("os.utime(%q, (1, 1))", secret),
		"truncate":       about("os.truncate(%q, 0)", secret),
		"open to empty":  about("os.open(%q, os.O_RDONLY | os.O_TRUNC)", secret),
		"set attribute":  about("os.setxattr(%q, 'user.lor2c', b'x')", secret),
		"own mode":       about("open('a', 'w')\nos.chmod('a', 0o600)"), // as for a file of the user's
		"queue a signal": about("assert c.sigqueue(%d, 0, None) == 0", pid),
		"read limits":    about("resource.prlimit(%d, resource.RLIMIT_NOFILE)", pid),
		"set limits":     about("resource.prlimit(%d, resource.RLIMIT_CORE, (0, 0))", pid),
		"priority":       about("os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))"),
		"scheduler":      about("os.sched_setscheduler(%d, os.SCHED_BATCH, os.sched_param(0))", pid),
		"own a file":     about("fcntl.fcntl(3, fcntl.F_SETOWN, os.getpid())"),
		"signal of file": about("fcntl.fcntl(3, fcntl.F_SETSIG, 10)"),
		"wide command": about("n = ctypes.c_long\nassert c.syscall(n(%d), n(3), n(1 << 32 | fcntl.F_SETOWN), n(%d)) == 0",
			syscall.SYS_FCNTL, pid),
		"new call":      about("assert c.syscall(469) != -1 or ctypes.get_errno() != 38"), // file_setattr
		"shared memory": about("assert c.shmget(0, 4096, 0o1600) != -1"),
		"queue":         about("assert c.msgget(0, 0o1600) != -1"),
	} {
		for own, s := range variants(s) {
			t.Run("attempt="+strings.ReplaceAll(name, " ", "_")+"/namespaces="+own, func(t *testing.T) {
				t.Parallel()
				if got := outcome(t, s, program); got == Passed {
					t.Error("it succeeds")
				}
				if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
					t.Errorf("the file is %q, %v", text, err)
				}
				after, err := os.Stat(secret)
				if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
					t.Errorf("the file is %v, %v; was %v", after, err, before)
				}
				if _, err := os.Stat(escape); err == nil {
					t.Error("it has written a file")
				}
			})
		}
	}
}

// TestClosed: if a restriction cannot be set up, nothing is executed and the error says which it is.
func TestClosed(t *testing.T) {
	s := open(t)
	broken := *s
	broken.libraries = append(broken.libraries, "/no/such/folder")
	if got, err := broken.Run(context.Background(), "x = 1"); err == nil || !strings.Contains(err.Error(), "landlock") {
		t.Errorf("it has %q, error %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got, err := s.Run(ctx, "x = 1"); err == nil {
		t.Errorf("a canceled program has %q", got)
	}
	if entries, _ := filepath.Glob(filepath.Join(os.TempDir(), "lor2c-program-*")); len(entries) > 0 {
		t.Logf("folders that other processes use: %v", entries)
	}
}

// TestLateStart: a machine on which Python does not start in time is at fault, and not the program.
func TestLateStart(t *testing.T) {
	late := *open(t)
	late.start = time.Nanosecond
	if got, err := late.Run(context.Background(), "x = 1"); err == nil || !strings.Contains(err.Error(), "too busy") {
		t.Errorf("it has %q, error %v", got, err)
	}
}

// TestForbiddenNames: no name is misspelled, because a name that an architecture lacks is left out.
func TestForbiddenNames(t *testing.T) {
	for _, name := range forbidden {
		if _, has := arch.X86_64.SyscallNames[name]; !has {
			t.Errorf("x86-64 has no system call %s", name)
		}
	}
}

// TestPythonInHome: a Python whose own folder is the user's home, or lies above it, is refused.
func TestPythonInHome(t *testing.T) {
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(bin, "python3")
	t.Setenv("PATH", bin)
	t.Setenv("HOME", home)
	for _, prefix := range []string{home, filepath.Dir(home), "/"} {
		script := fmt.Sprintf("#!/bin/sh\necho %s; echo /usr; echo %s\n", "/bin/sh", prefix)
		if err := os.WriteFile(python, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), Kernel); err == nil || !strings.Contains(err.Error(), "the user's files") {
			t.Errorf("prefix %s: error %v", prefix, err)
		}
	}
}
