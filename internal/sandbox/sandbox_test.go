//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// open opens the sandbox, or skips the test where the system cannot have it.
func open(t *testing.T) *Sandbox {
	t.Helper()
	s, err := Open(context.Background())
	if err != nil {
		t.Skipf("this system has no sandbox: %v", err)
	}
	return s
}

// outcome runs a program with and without namespaces and returns its outcome.
func outcome(t *testing.T, s *Sandbox, program string) string {
	t.Helper()
	got, err := s.Run(context.Background(), program)
	if err != nil {
		t.Fatal(err)
	}
	return got
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
		t.Run("program="+name, func(t *testing.T) {
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

// TestEscapes: attempts to reach what is outside fail, and what is outside is as it was.
func TestEscapes(t *testing.T) {
	s := open(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	abs := func(path string) string { return fmt.Sprintf("%q", path) }
	for name, program := range map[string]string{
		"read a file":    "open(" + abs(secret) + ").read()",
		"read passwd":    "open('/etc/passwd').read()",
		"read init":      "open('/proc/1/environ', 'rb').read()",
		"read parent":    "import os\nopen(f'/proc/{os.getppid()}/environ', 'rb').read()",
		"write a file":   "open(" + abs(secret) + ", 'w').write('x')",
		"remove a file":  "import os\nos.remove(" + abs(secret) + ")",
		"link to it":     "import os\nos.symlink(" + abs(secret) + ", 'l')\nopen('l').read()",
		"write tmp":      "open('/tmp/lor2c-escape', 'w').write('x')",
		"list root":      "import os\nos.listdir('/')",
		"socket":         "import socket\nsocket.socket()",
		"unix socket":    "import socket\nsocket.socket(socket.AF_UNIX)",
		"pair":           "import socket\nsocket.socketpair()",
		"fork":           "import os\nos.fork()",
		"spawn":          "import os\nos.posix_spawn('/bin/true', ['true'], {})",
		"subprocess":     "import subprocess\nsubprocess.run(['/bin/true'])",
		"system":         "import os\nassert os.system('true') == 0",
		"processes":      "import multiprocessing as m\np = m.Process()\np.start()\np.join()\nassert not p.exitcode",
		"kill parent":    "import os\nos.kill(os.getppid(), 9)",
		"kill group":     "import os\nos.killpg(0, 9)",
		"memory":         "x = bytearray(2 << 30)",
		"large file":     "f = open('a', 'wb')\nf.write(b'x' * (2 << 20))\nf.flush()",
		"many files":     "f = [open('a%d' % i, 'w') for i in range(100)]",
		"new namespace":  "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
		"trace":          "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
		"raise a limit":  "import resource as r\nr.setrlimit(r.RLIMIT_AS, (1 << 40, 1 << 40))",
		"raise priority": "import os\nos.setuid(0) if os.getuid() else os.fork()",
		"mount":          "import ctypes\nassert ctypes.CDLL(None).mount(b'/', b'.', None, 4096, None) == 0",
	} {
		t.Run("attempt="+strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if got := outcome(t, s, program); got == Passed {
				t.Error("it succeeds")
			}
			if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
				t.Errorf("the file is %q, %v", text, err)
			}
			if _, err := os.Stat("/tmp/lor2c-escape"); err == nil {
				t.Error("it has written a file")
			}
		})
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
