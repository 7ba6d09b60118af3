package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVar is an environment variable. If it is set, the test binary runs one
// of children instead of the tests.
const childVar = "LOR2C_CHECKPOINT_CHILD"

// children are programs that a test starts as separate processes. They write
// into dir.
var children = map[string]func(dir string) error{
	"save": func(dir string) error { return saveForever(dir) },
	"steps": func(dir string) error {
		exchangeDirs = func(_, _ string) error { return errNoExchange }
		return saveForever(dir)
	},
	"limit": saveOverLimit,
	"tmpfs": saveOnFullDisk,
}

func TestMain(m *testing.M) {
	if child, ok := children[os.Getenv(childVar)]; ok {
		if err := child(os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child returns a command that runs one of children in dir.
func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), childVar+"="+name)
	return cmd
}

// saveForever writes new checkpoints and replaces old ones until it is killed,
// as a training run does.
func saveForever(run string) error {
	for i := 0; ; i++ {
		name := fmt.Sprintf("checkpoint-%d", i%4)
		value := float32(i)
		err := WriteDir(filepath.Join(run, name), func(tmp string) error {
			for _, file := range []string{"adapter.safetensors", "optimizer.safetensors"} {
				w, err := os.Create(filepath.Join(tmp, file))
				if err != nil {
					return err
				}
				data := bytes.Repeat([]byte{byte(i)}, 1<<17)
				err = Write(w, nil,
					[]Tensor{{Name: "u", Shape: []int{len(data)}, Data: data}, {Name: "step", Data: []float32{value}}})
				if err := errors.Join(err, w.Close()); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = Link(name, filepath.Join(run, "best"))
		}
		if err == nil {
			err = WriteFile(filepath.Join(run, "state"), func(w io.Writer) error {
				for range 100 {
					if _, err := fmt.Fprintln(w, i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err == nil && i%3 == 2 {
			err = RemoveDir(filepath.Join(run, fmt.Sprintf("checkpoint-%d", (i+2)%4)))
		}
		if err != nil {
			return err
		}
	}
}

// TestKilledWhileSaving kills the writer at random moments. After each kill,
// every directory that has a final name must be complete, and the newest one
// must load.
func TestKilledWhileSaving(t *testing.T) {
	for _, way := range []string{"save", "steps"} {
		t.Run("way="+way, func(t *testing.T) {
			run := t.TempDir()
			// The first checkpoint is written without a kill, so that Latest always
			// finds one.
			mustWriteDir(t, run, "checkpoint-0", "first")
			leftovers := 0
			for round := range 15 {
				leftovers += killOnce(t, way, run)
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			t.Logf("%d unfinished entries cleaned", leftovers)
		})
	}
}

// killOnce runs the child for a random time, kills it and checks run. It
// returns how many unfinished entries the child left.
func killOnce(t *testing.T, way, run string) (leftovers int) {
	t.Helper()
	cmd := child(t, way, run)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20*time.Millisecond + rand.N(60*time.Millisecond))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %v\n%s", err, &out)
	}

	if way == "save" {
		checkRun(t, run) // an exchange does not need CleanTemp to restore a name
	}
	all, _ := filepath.Glob(filepath.Join(run, "*.lor2c-*"))
	if err := CleanTemp(run); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(run, "*.lor2c-*")); len(left) > 0 {
		t.Errorf("CleanTemp left %v", left)
	}
	checkRun(t, run)
	return len(all)
}

// checkRun reports an error if anything in run is incomplete.
func checkRun(t *testing.T, run string) {
	t.Helper()
	dir, skipped, err := Latest(run, "checkpoint-")
	if err != nil || len(skipped) > 0 {
		t.Errorf("latest is %s, skipping %v: %v", dir, skipped, err)
		return
	}
	dirs, _ := filepath.Glob(filepath.Join(run, "checkpoint-[0-9]"))
	for _, d := range dirs {
		if err := VerifyDir(d); err != nil {
			t.Error(err)
		}
	}
	if f, err := Open(filepath.Join(dir, "adapter.safetensors")); err == nil {
		var step [1]float32
		if err := f.ReadInto(step[:], "step"); err != nil {
			t.Error(err)
		}
		_ = f.Close()
	} else if _, noted := os.Stat(filepath.Join(dir, "a.txt")); noted != nil {
		t.Error(err) // a complete checkpoint has one of these two contents
	}
	if state, err := os.ReadFile(filepath.Join(run, "state")); err == nil {
		line, _, _ := strings.Cut(string(state), "\n")
		if string(state) != strings.Repeat(line+"\n", 100) {
			t.Errorf("state is incomplete: %q", state)
		}
	}
}

// bigFile returns a fill function that writes one file of n bytes.
func bigFile(n int) func(string) error {
	return func(dir string) error {
		w, err := os.Create(filepath.Join(dir, "big"))
		if err != nil {
			return err
		}
		return errors.Join(Write(w, nil, []Tensor{{Name: "a", Shape: []int{n}, Data: make([]uint8, n)}}), w.Close())
	}
}

// saveOverLimit saves a small directory, then one with a file that is larger
// than the limit for files of this process.
func saveOverLimit(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}); err != nil {
		return err
	}
	final := filepath.Join(dir, "checkpoint-1")
	if err := WriteDir(final, bigFile(100)); err != nil {
		return err
	}
	err := WriteDir(final, bigFile(1<<20))
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("error is %w; EFBIG was expected", err)
	}
	return nil
}

func TestFileSizeLimit(t *testing.T) {
	run := t.TempDir()
	if out, err := child(t, "limit", run).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantList(t, run, "checkpoint-1")
	if err := VerifyDir(filepath.Join(run, "checkpoint-1")); err != nil {
		t.Error(err)
	}
}

// saveOnFullDisk mounts a file system of 32 pages and saves directories of
// growing size, so that the disk becomes full in every part of a save: in a
// file, in the manifest and while files are created.
func saveOnFullDisk(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	final := filepath.Join(dir, "checkpoint-1")
	if err := WriteDir(final, bigFile(100)); err != nil {
		return err
	}
	saved, refused := 0, 0
	for size := 0; size < 160<<10; size += 1 << 10 {
		switch err := WriteDir(final, bigFile(size)); {
		case err == nil:
			saved++
		case errors.Is(err, syscall.ENOSPC):
			refused++
		default:
			return fmt.Errorf("size %d: error is %w; ENOSPC was expected", size, err)
		}
		if err := VerifyDir(final); err != nil {
			return fmt.Errorf("size %d: %w", size, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			return fmt.Errorf("size %d: %v, %v is left", size, entries, err)
		}
	}
	if saved == 0 || refused == 0 {
		return fmt.Errorf("%d saves succeeded and %d met a full disk; some of both were expected", saved, refused)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	cmd := child(t, "tmpfs", t.TempDir())
	privateMounts(cmd)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || strings.HasPrefix(string(out), "mount: ") {
		t.Skipf("a private tmpfs cannot be mounted here: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// privateMounts lets cmd mount file systems that only it sees, without
// privileges.
func privateMounts(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}
