package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLatest(t *testing.T) {
	run := t.TempDir()
	_, _, err := Latest(run, "checkpoint-")
	wantError(t, err,
		"checkpoint: find the latest checkpoint-* in "+run+": there is no valid one among 0; start a new run")
	if !errors.Is(err, ErrNone) {
		t.Error("the error does not wrap ErrNone")
	}
	nine := mustWriteDir(t, run, "checkpoint-9", "x")
	ten := mustWriteDir(t, run, "checkpoint-10", "x")
	// These names only resemble those of checkpoints and must be ignored.
	for _, name := range []string{"checkpoint-011", "checkpoint-+12", "checkpoint-13a", "checkpoint-", "other-14",
		"checkpoint--15",
		"checkpoint-99999999999999999999", "checkpoint-16.lor2c-tmp-1-0123456789abcdef"} {
		mustWriteDir(t, run, name, "x")
	}
	if err := errors.Join(Link("checkpoint-9", filepath.Join(run, "checkpoint-17")),
		os.WriteFile(filepath.Join(run, "checkpoint-18"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if dir, skipped, err := Latest(run, "checkpoint-"); dir != ten || skipped != nil || err != nil {
		t.Errorf("latest is %s, %v, %v; want %s", dir, skipped, err, ten)
	}
	eleven := filepath.Join(run, "checkpoint-11")
	if err := errors.Join(os.Mkdir(eleven, 0o777), os.Truncate(filepath.Join(ten, "a.txt"), 0)); err != nil {
		t.Fatal(err)
	}
	dir, skipped, err := Latest(run, "checkpoint-")
	if dir != nine || err != nil || len(skipped) != 2 || skipped[0].Dir != eleven || skipped[1].Dir != ten {
		t.Fatalf("latest is %s, %v, %v; want %s", dir, skipped, err, nine)
	}
	wantError(t, skipped[0].Err,
		"checkpoint: verify "+eleven+": MANIFEST.sha256 is corrupt: it is missing; use an earlier one")
	if !strings.Contains(skipped[1].Err.Error(), ": a.txt is corrupt: its SHA-256 is ") {
		t.Errorf("reason is %v", skipped[1].Err)
	}
	_, _, err = Latest(run+"/none", "checkpoint-")
	wantError(t, err, "checkpoint: list checkpoint-* in "+run+"/none: no such file or directory; a run folder is expected")
}

func TestCleanTemp(t *testing.T) {
	run := t.TempDir()
	const dead = ".lor2c-tmp-1-0123456789abcdef"
	keep := mustWriteDir(t, run, "checkpoint-1", "x")
	mustWriteDir(t, run, "checkpoint-2"+dead, "x") // a leftover, by its name
	// The process ended after the new directory got the name: the old one is
	// removed.
	mustWriteDir(t, run, "checkpoint-1.lor2c-old-1-0123456789abcdef", "older")
	// The process ended between the renames: the old directory gets its name back.
	mustWriteDir(t, run, "checkpoint-3.lor2c-old-1-0123456789abcdef", "old")
	mustWriteDir(t, run, "checkpoint-3"+dead, "new")
	if err := errors.Join(os.WriteFile(filepath.Join(run, "state.json"+dead), nil, 0o666),
		os.Symlink("checkpoint-1", filepath.Join(run, "best"+dead)),
		os.WriteFile(filepath.Join(run, "mine.tmp"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(run, "checkpoint-4")
	err := WriteDir(live, func(tmp string) error {
		if err := CleanTemp(run); err != nil {
			return err
		}
		// A directory that is being written, here by this process, is not removed.
		wantList(t, run, "checkpoint-1", "checkpoint-3", filepath.Base(tmp), "mine.tmp")
		return fillWith(map[string]string{"a.txt": "x"})(tmp)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, filepath.Join(run, "checkpoint-3", "a.txt"), "old")
	for _, dir := range []string{keep, live, filepath.Join(run, "checkpoint-3")} {
		if err := VerifyDir(dir); err != nil {
			t.Error(err)
		}
	}
	wantError(t, CleanTemp(run+"/none"),
		"checkpoint: clean "+run+"/none: no such file or directory; a run folder is expected")
}
