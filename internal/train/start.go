package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
)

// open opens the log, or continues it at the state's step, and logs what the
// run will do.
func (r *run) open(o Options, from string, plan Plan) (err error) {
	c, task := r.session.Config, r.session.Set.Task
	r.dir.begun = true
	step := -1
	if from != "" && !r.follows() {
		step = r.state.Step
	}
	r.log, err = runlog.Open(r.out, runlog.Options{
		Scores: task.Metrics, Select: task.Select, Steps: r.steps, StepsPerEpoch: r.perEpoch,
		Epochs: r.allEpochs(), Resume: true, Step: step,
		JSON: o.JSON, Terminal: o.Terminal, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	if err != nil {
		return err
	}
	if r.follows() {
		// The files of the log are open, and nobody reads them. A rank that is killed later leaves nothing behind.
		return os.RemoveAll(r.out)
	}
	r.log.Settings(c.Settings())
	if from != "" {
		if err := r.checkBest(from); err != nil {
			return err
		}
	}
	hashes := map[string]string{}
	for _, file := range append(slices.Clone(r.train.split.Files), r.test.split.Files...) {
		hashes[file.Path] = file.SHA256
	}
	env := environment(o, hashes)
	if from != "" && !r.finished() {
		r.noteRounding(env, from)
	}
	if err := r.log.WriteEnv(env); err != nil {
		return err
	}
	r.logStart(from, plan)
	return errors.Join(r.linkBest(), r.prune())
}

// logStart logs what the run will do, and from which checkpoint it continues if from is not "".
func (r *run) logStart(from string, plan Plan) {
	c, task, method := r.session.Config, r.session.Set.Task, r.stepper.Method
	r.log.Start(runlog.Start{
		Step: r.state.Step, Steps: r.steps, Epochs: c.Train.Epochs, Out: r.out, ResumedFrom: from,
		Method: c.Method.Name(), Task: task.Name, Labels: task.Labels, Metric: task.Select,
		TrainExamples: r.train.Len(), DevExamples: r.test.Len(),
		Trainable: adapter.Count(method.Params()), Head: adapter.Count(r.stepper.Model.Head()), Device: r.dev.Name(),
	})
	for _, line := range r.header(plan) {
		r.log.Printf("%s", line)
	}
	if from == "" {
		for _, line := range r.session.lint(r.train, r.test) {
			r.log.Printf("%s", line)
		}
	}
	if r.session.Dir != c.Model {
		r.log.Printf("model: %s is %s", c.Model, r.session.Dir)
	}
	for _, line := range slices.Concat(r.notes, r.session.Tokenizer.Warnings()) {
		r.log.Printf("%s", line)
	}
	if from == "" && r.init == nil {
		for _, line := range r.stepper.Model.Notes() {
			r.log.Printf("%s", line)
		}
	} else if r.finished() {
		r.log.Printf("the run is finished: %d of %d steps are done, and the newest checkpoint is %s",
			r.state.Step, r.steps, from)
	} else if from != "" {
		r.log.Printf("resuming from %s at step %d of %d", from, r.state.Step, r.steps)
	}
	if b := r.state.Best.Step; b > 0 && !exists(checkpointAt(r.out, b)) && !exists(filepath.Join(r.out, bestLink)) {
		r.log.Printf("%s, the checkpoint of the best epoch so far, is missing; "+
			"best will point to the next epoch that is better", checkpointAt(r.out, b))
	}
}

// header returns three lines about the data, the method and the memory of the run.
func (r *run) header(plan Plan) []string {
	c, task := r.session.Config, r.session.Set.Task
	return []string{
		fmt.Sprintf("data: %s, %d train, %s, %s, best epoch by %s", task.Name, r.train.Len(),
			place.Count(r.test.Len(), "dev example", "dev examples"), r.session.source.predicts(), task.Select),
		fmt.Sprintf("method: %s on %s; %s, head %d", c.Method.Name(), r.dev.Name(),
			place.Count(adapter.Count(r.stepper.Method.Params()), "scalar", "scalars"),
			adapter.Count(r.stepper.Model.Head())),
		fmt.Sprintf("memory: weights %s, trained %s, activations %s (%s)",
			place.Bytes(plan.Weights), place.Bytes(plan.Trained), place.Bytes(plan.Arena),
			place.Count(plan.Tokens, "token", "tokens")),
	}
}

// logBaseline logs the scores of a baseline that always predicts the most
// frequent class of dev. It does nothing if the run is continued, because then
// the log already has them.
func (r *run) logBaseline(fresh bool) error {
	if !fresh {
		return nil
	}
	task := r.session.Set.Task
	b := runlog.Baseline{Split: "dev", Examples: r.test.Len(), Scores: metric.Scores{}}
	m, err := r.stepper.Objective.majority(task.Metrics, r.test)
	if err != nil {
		return err
	}
	if m != nil {
		b.Label, b.Count, b.Scores = task.Labels[m.Class], m.Count, m.Scores
	}
	r.log.Baseline(b)
	return r.log.Err()
}
