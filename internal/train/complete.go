package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/runlog"
)

// A run directory is complete in itself: its log reaches back to the first step,
// and the best checkpoint lies in it. This file keeps it so where a run comes
// from elsewhere or parts of it are gone.

// checkpointAt returns the directory of the checkpoint of a step in a run
// directory.
func checkpointAt(run string, step int) string {
	return filepath.Join(run, checkpointPrefix+strconv.Itoa(step))
}

// inside reports whether a checkpoint directory lies in the output directory.
func (r *run) inside(dir string) bool {
	parent, err := os.Stat(filepath.Dir(resolved(dir)))
	own, ownErr := os.Stat(r.out)
	return err == nil && ownErr == nil && os.SameFile(parent, own)
}

// resolved follows links in a path that is there.
func resolved(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return filepath.Clean(path)
}

// rewind removes the checkpoints behind the one that is continued from, because
// the log is about to be cut back to it.
func (r *run) rewind() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return fmt.Errorf("train: open %s: %w", r.out, err)
	}
	for _, e := range entries {
		if step, ok := checkpoint.Step(e.Name(), checkpointPrefix); ok && step > r.state.Step {
			if err := checkpoint.RemoveDir(checkpointAt(r.out, step)); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt copies a checkpoint from elsewhere into the output directory, with the
// best checkpoint and the log of the run that it belongs to, and returns the
// copy. Where those are not to be had the log begins at the checkpoint, and the
// next evaluation is the best so far.
func (r *run) adopt(dir string) (string, error) {
	r.dir.begun = true
	if err := r.writeConfig(); err != nil {
		return "", err
	}
	from := filepath.Dir(resolved(dir))
	missing := r.history(dir)
	switch {
	case missing != nil:
		r.note("the log and the best epoch of %s were left behind: %v; both begin again at step %d",
			from, missing, r.state.Step)
		r.state.Best, r.state.Log = best{}, nil
	default:
		if err := checkpoint.WriteFile(filepath.Join(r.out, "metrics.jsonl"), func(w io.Writer) error {
			return runlog.CopyMetrics(w, from, r.state.Step)
		}); err != nil {
			return "", err
		}
		if b := r.state.Best.Step; b > 0 && b != r.state.Step {
			if err := copyCheckpoint(checkpointAt(r.out, b), checkpointAt(from, b), nil); err != nil {
				return "", err
			}
		}
	}
	// It goes last: with it the directory is one that a start continues from.
	to := checkpointAt(r.out, r.state.Step)
	return to, copyCheckpoint(to, dir, func(tmp string) error {
		if missing == nil {
			return nil
		}
		if err := checkpoint.WriteJSON(filepath.Join(tmp, stateFile), r.state); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, trainerFile), r.trainerState(), 0o666)
	})
}

// copyCheckpoint copies a verified checkpoint directory; change may then edit
// the copy.
func copyCheckpoint(to, from string, change func(tmp string) error) error {
	return checkpoint.WriteDir(to, func(tmp string) error {
		if err := os.CopyFS(tmp, os.DirFS(from)); err != nil {
			return err
		}
		if change == nil {
			return nil
		}
		return change(tmp)
	})
}

// history reports whether the run that a checkpoint from elsewhere belongs to
// lies around it: the log up to the checkpoint, and the best checkpoint so far.
func (r *run) history(dir string) error {
	from, b := filepath.Dir(resolved(dir)), r.state.Best.Step
	got, err := runlog.DigestOf(from, r.state.Step)
	if err != nil {
		return err
	}
	if r.state.Log != nil && got != *r.state.Log {
		return errors.New("metrics.jsonl there does not hold the records that the checkpoint was saved after")
	}
	if b == 0 {
		return nil
	}
	records, err := runlog.ReadMetrics(from)
	if err != nil {
		return err
	}
	found := false
	for _, rec := range records {
		e, ok := rec.(runlog.Eval)
		found = found || ok && e.Best && e.Step == b
	}
	if !found {
		return fmt.Errorf("metrics.jsonl there has no record of the best epoch, which ended at step %d", b)
	}
	if b == r.state.Step {
		return nil
	}
	return checkpoint.VerifyDir(checkpointAt(from, b))
}

// linkBest points best at the checkpoint that the state names. The link follows
// the checkpoint, so that a crash between the two is mended on resuming. A link
// to what is not there is removed.
func (r *run) linkBest() error {
	link := filepath.Join(r.out, bestLink)
	step := r.state.Best.Step
	if err := r.mendBest(link, checkpointAt(r.out, step)); err != nil {
		return err
	}
	if step > 0 && exists(checkpointAt(r.out, step)) {
		if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
			to, err := checkpoint.SetAside(link)
			if err != nil {
				return err
			}
			r.log.Printf("%s is now %s: it is no link to the best checkpoint", link, to)
		}
		return checkpoint.Link(checkpointPrefix+strconv.Itoa(step), link)
	}
	if _, err := os.Readlink(link); err == nil {
		return os.Remove(link)
	}
	return nil
}

// mendBest turns a directory called best into what it is a copy of: a program
// that follows links when it copies a run leaves it behind.
func (r *run) mendBest(link, dir string) error {
	info, err := os.Lstat(link)
	if err != nil || !info.IsDir() || r.state.Best.Step == 0 {
		return nil
	}
	if !exists(dir) {
		raw, err := os.ReadFile(filepath.Join(link, stateFile))
		if err != nil || checkpoint.VerifyDir(link) != nil {
			return nil
		}
		if s, err := parseState(link, raw); err == nil && s.Step == r.state.Best.Step {
			return os.Rename(link, dir)
		}
		return nil
	}
	if same, err := checkpoint.Same(link, dir); err != nil || !same {
		return nil
	}
	return checkpoint.RemoveDir(link)
}

// bestGone returns an error where the results would name a checkpoint or an
// evaluation that is not there.
func (r *run) bestGone() error {
	at := r.state.Best.Step
	again := fmt.Sprintf("begin again at step 0 with --resume %s, or with another directory", ResumeRestart)
	if e := r.bestEval(); at == 0 || e.Step != at {
		return fmt.Errorf("train: finish %s: metrics.jsonl has no evaluation of the best epoch; "+
			"continue the run in the directory that has the whole log, or %s", r.out, again)
	}
	if dir := checkpointAt(r.out, at); !exists(dir) {
		return fmt.Errorf("train: finish %s: the checkpoint of the best epoch, %s, is not there; restore it, or %s",
			r.out, dir, again)
	}
	return nil
}
