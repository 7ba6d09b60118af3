package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/runlog"
)

// A run directory does not depend on other directories: its log starts at the first
// step, and the best checkpoint is in it. The functions of this file keep it so when
// a run continues from a checkpoint elsewhere, or when files were removed.

// checkpointAt returns the path of the checkpoint of a step in a run directory.
func checkpointAt(run string, step int) string {
	return filepath.Join(run, checkpointPrefix+strconv.Itoa(step))
}

// inside reports whether the parent of a checkpoint directory is the output
// directory.
func (r *run) inside(dir string) bool {
	parent, err := os.Stat(filepath.Dir(resolved(dir)))
	own, ownErr := os.Stat(r.out)
	return err == nil && ownErr == nil && os.SameFile(parent, own)
}

// resolved returns path with its links followed, or cleaned if it does not exist.
func resolved(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return filepath.Clean(path)
}

// rewind removes the checkpoints of later steps than the one that the run continues
// from, because the log will be cut back to that step.
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

// adopt copies a checkpoint of another directory into the output directory, with the
// log and the best checkpoint of its run, and returns the path of the copy. If log
// or best checkpoint are missing there, the log starts at the checkpoint and the
// next evaluation counts as the best so far.
func (r *run) adopt(dir string) (string, error) {
	r.dir.begun = true
	if err := r.writeConfig(); err != nil {
		return "", err
	}
	from := filepath.Dir(resolved(dir))
	missing := r.history(dir)
	switch {
	case missing != nil:
		r.note("the log and the best epoch of %s were not copied: %v; both start again at step %d",
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
	// The checkpoint is copied last, because from then on the next start continues
	// from this directory.
	to := checkpointAt(r.out, r.state.Step)
	return to, copyCheckpoint(to, dir, func(tmp string) error {
		if missing == nil {
			return nil
		}
		if err := checkpoint.WriteJSON(filepath.Join(tmp, stateFile), r.state); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, trainerFile), r.trainerState(nil), 0o666)
	})
}

// copyCheckpoint copies a verified checkpoint directory. change, if not nil, edits
// the copy before it is published.
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

// history returns an error if the directory around a checkpoint lacks the rest of its
// run: the log up to the checkpoint's step, or the best checkpoint so far.
func (r *run) history(dir string) error {
	from, b := filepath.Dir(resolved(dir)), r.state.Best.Step
	got, err := runlog.DigestOf(from, r.state.Step)
	if err != nil {
		return err
	}
	if r.state.Log != nil && got != *r.state.Log {
		return errors.New("metrics.jsonl there does not have the records that it had when the checkpoint was saved")
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

// linkBest makes the link named best point to the best checkpoint so far. It is
// called after the checkpoint is written and again when a run continues, so a crash
// between the two leaves nothing wrong. If there is no such checkpoint, the link is
// removed.
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
			r.log.Printf("renamed %s to %s: it is not a link to the best checkpoint", link, to)
		}
		return checkpoint.Link(checkpointPrefix+strconv.Itoa(step), link)
	}
	if _, err := os.Readlink(link); err == nil {
		return os.Remove(link)
	}
	return nil
}

// mendBest replaces a directory named best, which a copying program that follows
// links leaves in a copied run: it becomes the best checkpoint dir if that is
// missing, and is removed if it equals dir.
func (r *run) mendBest(link, dir string) error {
	info, err := os.Lstat(link)
	if err != nil || !info.IsDir() || r.state.Best.Step == 0 {
		return nil
	}
	if !exists(dir) {
		raw, err := infile.Read(filepath.Join(link, stateFile), infile.Config)
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

// bestGone returns an error if the best checkpoint, or the log record of its
// evaluation, is missing: the results of the run name both.
func (r *run) bestGone() error {
	at := r.state.Best.Step
	again := fmt.Sprintf("start again at step 0 with --resume %s, or with another directory", ResumeRestart)
	if e := r.bestEval(); at == 0 || e.Step != at {
		return fmt.Errorf("train: finish %s: metrics.jsonl has no evaluation of the best epoch; "+
			"continue the run in the directory that has the complete log, or %s", r.out, again)
	}
	if dir := checkpointAt(r.out, at); !exists(dir) {
		return fmt.Errorf("train: finish %s: the checkpoint of the best epoch, %s, is missing; restore it, or %s",
			r.out, dir, again)
	}
	return nil
}
