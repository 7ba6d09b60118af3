package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/metric"
)

// Results is the outcome of a finished run.
type Results struct {
	Epoch        float64 // passes over the training data
	TrainLoss    float64 // mean over all steps of the run
	TrainSamples int     // examples of the training split
	Evals        []Eval  // of the best model, one per split
}

// Finish writes the results under Hugging Face's names. all_results.json is
// written last, so a run that has it is finished.
//
//	all_results.json   epoch, train_loss, train_samples, eval_loss, eval_<score>
//	eval_results.json  the same without train_*
//	timing.json        train_runtime in seconds, and rates of this process
//
// Hugging Face stores the timing in all_results.json. Here it is in another
// file, so that two runs of one configuration have equal results files. Names
// for splits other than dev are eval_<split>_<score>.
func (r *Run) Finish(res Results) error {
	eval := map[string]any{"epoch": metric.Number(res.Epoch)}
	all := map[string]any{"epoch": metric.Number(res.Epoch), "train_loss": metric.Number(res.TrainLoss),
		"train_samples": res.TrainSamples}
	for _, e := range res.Evals {
		for name, v := range hfScores(e) {
			eval[name], all[name] = v, v
		}
	}
	c := &r.clock
	seconds := c.now().Sub(c.start).Seconds()
	timing := map[string]any{
		"train_runtime":            metric.Number(seconds),
		"train_steps_per_second":   metric.Number(float64(c.done) / seconds),
		"train_samples_per_second": metric.Number(float64(c.allExamples) / seconds),
		"train_tokens_per_second":  metric.Number(float64(c.allTokens) / seconds),
		"first_step":               c.first,
	}
	for _, f := range []struct {
		name    string
		content any
	}{{runtimeFile, timing}, {evalResults, eval}, {allResults, all}} {
		if err := writeFile(filepath.Join(r.dir, f.name), marshal(f.content)); err != nil {
			return fmt.Errorf("runlog: write results: %w", err)
		}
	}
	return nil
}

// removeResults removes the files of Finish if the run has steps left. It
// removes the file that marks a finished run first.
func (r *Run) removeResults() error {
	if r.step >= r.o.Steps {
		return nil
	}
	for _, name := range []string{allResults, evalResults, runtimeFile} {
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hfScores returns the values of an evaluation under Hugging Face's names.
func hfScores(e Eval) map[string]any {
	m := map[string]any{e.prefix() + "_loss": metric.Number(e.Loss)}
	for name, v := range e.Scores {
		m[e.prefix()+"_"+name] = metric.Number(v)
	}
	return m
}

// State is the content of trainer_state.json.
type State struct {
	GlobalStep     int
	Epoch          float64
	MaxSteps       int
	Epochs         int
	Metric         string // the score that determines Eval.Best; "loss" for the loss
	BestCheckpoint string // directory of the best model; "" if there is none yet
	Records        []Record
}

// TrainerState returns trainer_state.json in the format that
// transformers.TrainerState reads. best_metric is the value at the last record
// marked Best, and null before the first. The bytes depend on s only.
func TrainerState(s State) []byte {
	var best, checkpoint any
	if s.BestCheckpoint != "" {
		checkpoint = s.BestCheckpoint
	}
	history := []map[string]any{}
	for _, record := range s.Records {
		switch rec := record.(type) {
		case Train:
			history = append(history,
				map[string]any{"step": rec.Step, "epoch": metric.Number(rec.Epoch), "loss": metric.Number(rec.Loss),
					"learning_rate": metric.Number(rec.LearningRate), "grad_norm": metric.Number(rec.GradNorm)})
		case Eval:
			m := hfScores(rec)
			m["step"], m["epoch"] = rec.Step, metric.Number(rec.Epoch)
			history = append(history, m)
			if rec.Best {
				best = m[rec.prefix()+"_"+s.Metric]
			}
		}
	}
	return marshal(map[string]any{
		"best_metric":           best,
		"best_model_checkpoint": checkpoint,
		"epoch":                 metric.Number(s.Epoch),
		"global_step":           s.GlobalStep,
		"log_history":           history,
		"max_steps":             s.MaxSteps,
		"num_train_epochs":      s.Epochs,
	})
}

// marshal returns indented JSON. The keys of maps are sorted.
func marshal(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // values of these types can always be marshalled
	}
	return append(b, '\n')
}

// Finished reports whether a directory has a finished run.
func Finished(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, allResults))
	return err == nil
}
