package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// These are the words that --resume accepts. Any other value is a checkpoint directory.
const (
	ResumeAuto    = "auto"    // continue the run in the output directory, if there is one
	ResumeNever   = "never"   // fail if there is a run in the output directory
	ResumeRestart = "restart" // remove the checkpoints there and start at step 0
)

// claim returns the checkpoint from which the run continues, or "" if it begins. It writes the run file before
// anything else, so that the directory has it however the process ends.
func (r *run) claim(resume string) (from string, err error) {
	if from, err = r.resumeFrom(resume); err != nil {
		return "", err
	}
	if err := r.setAside(); err != nil {
		return "", err
	}
	if from == "" {
		r.notes = append(r.notes, r.shortness()...)
	}
	return from, r.writeConfig()
}

// resumeFrom returns the checkpoint to continue from, or "" to start at step 0. It returns an error if the
// checkpoint or the run in the output directory has another identity than this run.
func (r *run) resumeFrom(resume string) (string, error) {
	held := r.dir.held
	if held && resume == ResumeNever {
		return "", otherRun(r.out, "it has a run, and --resume is never; choose another with --out, or remove it")
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

// setAside renames files and directories that lor2c did not write and that have the name of a checkpoint or of the
// final adapter. The run does not overwrite them, so it would fail when it saves under that name.
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
		r.note("renamed %s to %s: %v", path, to, why)
	}
	return nil
}

// named returns the checkpoint to continue from if --resume names one: dir itself if it is in the output directory,
// and otherwise a copy of it there. If the output directory has a checkpoint of the same or a later step, because
// the run was continued there before, named returns that one.
func (r *run) named(dir string, held bool) (string, error) {
	if exists(filepath.Join(dir, ConfigFile)) && !checkpoint.IsDir(dir) {
		return "", place.Mistake(fmt.Errorf("train: continue %s: it is a run directory; name one of the checkpoints in "+
			"it, such as %s",
			dir, filepath.Join(dir, bestLink)))
	}
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

// check reads the state of a checkpoint, and returns an error if the checkpoint or the log beside it does not belong
// to this run.
func (r *run) check(dir string) error {
	if err := r.same(dir); err != nil {
		return err
	}
	if err := r.readState(dir); err != nil {
		return err
	}
	if r.lengthened && r.state.Waiting.over(r.session.Config.Train) {
		return otherRun(r.out, "early stopping ended the run at step %d, and it would end the added epochs too; "+
			"start a new run from its adapter with --init-adapter %s", r.state.Step, filepath.Join(r.out, bestLink))
	}
	return r.sameLog(dir)
}

// latest returns the newest valid checkpoint of the output directory, or "" if it has no checkpoints. It notes the
// invalid checkpoints that it skipped. It returns an error if all checkpoints are invalid, because a run that starts
// again would remove them.
func (r *run) latest(held bool) (string, error) {
	if !held {
		return "", nil
	}
	dir, skipped, err := checkpoint.Latest(r.out, checkpointPrefix)
	if errors.Is(err, checkpoint.ErrNone) && skipped == nil {
		return "", nil
	}
	if errors.Is(err, checkpoint.ErrNone) {
		return "", fmt.Errorf("train: continue %s: none of its checkpoints (%d) is valid; the newest: %w; restore one, "+
			"or start again at step 0 with --resume %s, which removes them", r.out, len(skipped), skipped[0].Err, ResumeRestart)
	}
	for _, s := range skipped {
		r.note("skipped %s: %v", s.Dir, s.Err)
	}
	return dir, err
}

// restart removes the checkpoints of the run in the output directory. It returns an error if that run has other
// settings.
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

// same returns an error that lists the differences if a checkpoint has another identity than the run.
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
		// An older lor2c computed the checksum of the weights in another way.
		if err := saved.CheckBase(adapter.Base{Path: r.session.Dir, SHA256: r.identity.Base.Weights}); err != nil {
			return err
		}
		was.Base.Weights = r.identity.Base.Weights
		r.note("%s was written by an older lor2c, which did not record all inputs: %s could not be checked",
			dir, place.List(was.Unchecked()))
	}
	r.lengthened = lengthened(was.Settings, r.session.Config)
	r.allowExtension(was.Settings)
	differences, hint := identity.Compare(was, r.identity), ""
	for _, d := range differences {
		if d.Name == "train.epochs" {
			hint = "; --extend-epochs adds epochs to a run"
		}
	}
	return refuse(fmt.Sprintf("train: continue %s: it has other inputs than this run; "+
		"restore them, or start a new run in another directory%s:", dir, hint), differences)
}

// sameLog returns an error if the log of the output directory does not have the records that it had when the
// checkpoint was saved. The results of the run are taken from the log, so records must not be missing.
func (r *run) sameLog(from string) error {
	if r.state.Log == nil || !r.inside(from) {
		return nil
	}
	got, err := runlog.DigestOf(r.out, r.state.Step)
	if err != nil {
		return err
	}
	if got != *r.state.Log {
		return fmt.Errorf("train: continue %s: metrics.jsonl beside it has %d records up to step %d with the %s, "+
			"and it had %d with the %s when the checkpoint was saved; "+
			"restore the file, or start again at step 0 with --resume %s",
			from, got.Records, r.state.Step, short(got.SHA256), r.state.Log.Records, short(r.state.Log.SHA256), ResumeRestart)
	}
	return nil
}

// checkBest returns an error if the best evaluation in the state of checkpoint from is not the best one of the log.
func (r *run) checkBest(from string) error {
	if r.state.Log == nil {
		return nil
	}
	var logged best
	if e := r.bestEval(); e.Best {
		selected := r.session.Set.Task.Select
		logged = newBest(e.Step, e.Epoch, metric.Merit(selected, e.Scores[selected]))
	}
	if got, want := r.state.Best, logged; got.Step != want.Step || !equalScores(got.value(), want.value()) {
		return fmt.Errorf("train: resume %s: best has the score %v of step %d, and in metrics.jsonl the best evaluation has "+
			"the score %v of step %d; want a checkpoint of this run that lor2c train wrote",
			filepath.Join(from, stateFile), got.value(), got.Step, want.value(), want.Step)
	}
	return nil
}

// equalScores reports whether two scores are equal or both undefined.
func equalScores(a, b float64) bool { return a == b || a != a && b != b }

// short returns the first digits of a checksum, for errors.
func short(sum string) string { return fmt.Sprintf("SHA-256 %.12s", sum) }

// sameSettings returns an error if the run file in the output directory has other settings than the run. It is for a
// run that has no checkpoint yet.
func (r *run) sameSettings() error {
	old, err := config.Load(filepath.Join(r.out, ConfigFile), nil, nil)
	if err != nil {
		return err
	}
	was := written(old)
	r.allowExtension(was)
	headline := fmt.Sprintf("train: open %s: it has a run with another configuration; choose another with --out:", r.out)
	return refuse(headline, identity.Compare(identity.Manifest{Settings: was}, r.identity))
}

// allowExtension sets train.extend_epochs in the settings was of an earlier run to the value of this run, if this
// run only adds epochs to it.
func (r *run) allowExtension(was map[string]string) {
	if value, known := was[extendKey]; known && extends(value, r.session.Config) {
		was[extendKey] = r.identity.Settings[extendKey]
	}
}

// note stores a line for the log, which is not open yet.
func (r *run) note(format string, a ...any) { r.notes = append(r.notes, fmt.Sprintf(format, a...)) }

// writeConfig writes the run file, which identifies the run of the directory.
func (r *run) writeConfig() error {
	return checkpoint.WriteFile(filepath.Join(r.out, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(r.session.Resolve(r.session.Config).RunFile(r.out))
		return err
	})
}
