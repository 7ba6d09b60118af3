package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// The words that --resume takes; anything else is a checkpoint directory.
const (
	ResumeAuto    = "auto"    // continue the run in the output directory, if there is one
	ResumeNever   = "never"   // want no run there
	ResumeRestart = "restart" // begin the run that is there at step 0, without its checkpoints
)

// resumeFrom returns the checkpoint to continue from, "" to begin. What it was
// made from equals what the run is made from now.
func (r *run) resumeFrom(resume string) (string, error) {
	held := r.dir.held
	if held && resume == ResumeNever {
		return "", otherRun(r.out, "it holds a run and --resume is never; name another with --out, or remove it")
	}
	if err := checkpoint.CleanTemp(r.out); err != nil {
		return "", err
	}
	var from string
	var err error
	switch resume {
	case ResumeAuto, ResumeNever, "":
		from, err = r.latest(held)
	case ResumeRestart:
		err = r.restart(held)
	default:
		return r.named(resume, held)
	}
	switch {
	case err != nil:
		return "", err
	case from != "":
		return from, r.check(from)
	case held:
		return "", r.sameSettings()
	}
	return "", nil
}

// setAside gives other names to what is where the run will put a checkpoint or
// the final adapter and was not written by lor2c: the run would not replace it,
// and would fail when it gets there.
func (r *run) setAside() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return fmt.Errorf("train: open %s: %w", r.out, err)
	}
	for _, e := range entries {
		path := filepath.Join(r.out, e.Name())
		if _, saved := checkpoint.Step(e.Name(), checkpointPrefix); !saved && e.Name() != finalDir {
			continue
		}
		why := checkpoint.Replaceable(path)
		if why == nil {
			continue
		}
		to, err := checkpoint.SetAside(path)
		if err != nil {
			return err
		}
		r.note("%s is now %s: %v", path, to, why)
	}
	return nil
}

// named returns where to continue from when a checkpoint is named: that one if
// it lies in the output directory, else a copy of it there, or what the copy has
// become since.
func (r *run) named(dir string, held bool) (string, error) {
	if err := checkpoint.VerifyDir(dir); err != nil {
		return "", err
	}
	if r.inside(dir) {
		if err := r.check(dir); err != nil {
			return "", err
		}
		return dir, r.rewind()
	}
	if err := r.check(dir); err != nil {
		return "", err
	}
	own, err := r.latest(held)
	if err != nil {
		return "", err
	}
	if step, ok := checkpoint.Step(filepath.Base(own), checkpointPrefix); ok && step >= r.state.Step {
		return own, r.check(own)
	}
	return r.adopt(dir)
}

// check holds a checkpoint against the run and reads its state.
func (r *run) check(dir string) error {
	if err := r.same(dir); err != nil {
		return err
	}
	if err := r.readState(dir); err != nil {
		return err
	}
	return r.sameLog(dir)
}

// latest returns the newest valid checkpoint of the output directory, "" where
// it has none, and notes those that it passed over. Only invalid ones are an
// error: a run that begins again without a word would lose what they hold.
func (r *run) latest(held bool) (string, error) {
	if !held {
		return "", nil
	}
	dir, skipped, err := checkpoint.Latest(r.out, checkpointPrefix)
	if errors.Is(err, checkpoint.ErrNone) && skipped == nil {
		return "", nil
	}
	if errors.Is(err, checkpoint.ErrNone) {
		return "", fmt.Errorf("train: continue %s: none of its %d checkpoints is valid; the newest: %w; restore one, "+
			"or begin again at step 0 with --resume %s, which removes them", r.out, len(skipped), skipped[0].Err, ResumeRestart)
	}
	for _, s := range skipped {
		r.note("passed over %s: %v", s.Dir, s.Err)
	}
	return dir, err
}

// restart removes what a run in the output directory has saved, if it is of the
// same configuration.
func (r *run) restart(held bool) error {
	if !held {
		return nil
	}
	if err := r.sameSettings(); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return fmt.Errorf("train: open %s: %w", r.out, err)
	}
	for _, e := range entries {
		if _, ours := checkpoint.Step(e.Name(), checkpointPrefix); ours {
			if err := checkpoint.RemoveDir(filepath.Join(r.out, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// same reports whether a checkpoint was made from what the run is made from.
func (r *run) same(dir string) error {
	saved, err := adapter.Open(dir)
	if err != nil {
		return err
	}
	defer saved.Close()
	was, err := recorded(dir, saved)
	if err != nil {
		return err
	}
	if saved.Identity == nil {
		// Weights were identified in another way then.
		if err := saved.CheckBase(adapter.Base{Path: r.session.Dir, SHA256: r.identity.Base.Weights}); err != nil {
			return err
		}
		was.Base.Weights = r.identity.Base.Weights
		r.note("%s was written by an older lor2c, which does not say what it was made from: %s could not be checked",
			dir, place.List(was.Unchecked()))
	}
	r.allowExtension(was.Settings)
	differences, hint := identity.Compare(was, r.identity), ""
	for _, d := range differences {
		if d.Name == "train.epochs" {
			hint = "; --extend-epochs adds epochs to a run"
		}
	}
	return refuse(fmt.Sprintf("train: continue %s: it was made from something else; want what it was made from, or a new run in another directory%s:", dir, hint), differences)
}

// sameLog reports whether the log of the output directory still holds what the
// checkpoint was saved after. A log that begins in the middle would give results
// without their evaluation.
func (r *run) sameLog(from string) error {
	if r.state.Log == nil || !r.inside(from) {
		return nil
	}
	got, err := runlog.DigestOf(r.out, r.state.Step)
	if err != nil {
		return err
	}
	if got != *r.state.Log {
		return fmt.Errorf("train: continue %s: metrics.jsonl beside it holds %d records up to step %d with the %s, and the checkpoint was saved after %d with the %s; "+
			"restore the file, or begin again at step 0 with --resume %s",
			from, got.Records, r.state.Step, short(got.SHA256), r.state.Log.Records, short(r.state.Log.SHA256), ResumeRestart)
	}
	return nil
}

func short(sum string) string { return fmt.Sprintf("SHA-256 %.12s", sum) }

// sameSettings compares the run file of a run that has no checkpoint yet.
func (r *run) sameSettings() error {
	old, err := config.Load(filepath.Join(r.out, ConfigFile), nil, nil)
	if err != nil {
		return err
	}
	was := written(old)
	r.allowExtension(was)
	return refuse(fmt.Sprintf("train: open %s: it holds a run of another configuration; name another with --out:", r.out),
		identity.Compare(identity.Manifest{Settings: was}, r.identity))
}

// allowExtension makes the settings of a run those of the run that it is extended
// to, if that is all that epochs were added.
func (r *run) allowExtension(was map[string]string) {
	if value, known := was[extendKey]; known && r.extends(value) {
		was[extendKey] = r.identity.Settings[extendKey]
	}
}

// note keeps a line until the log is open.
func (r *run) note(format string, a ...any) { r.notes = append(r.notes, fmt.Sprintf(format, a...)) }
