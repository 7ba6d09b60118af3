package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// The synthetic run is a 12-layer model over 30 epochs of 58 steps with three
// merges and three injections. The scores of its modules are constant. By the
// rules of arXiv:2503.00572, worked out by hand, it merges 8+9 and injects 6
// after epoch 3, merges 7+[8-9] and injects 5 after epoch 6, and merges
// [7-9]+10 and injects 4 after epoch 9.
var sfs = []float64{.52, .47, .41, .44, .38, .35, .33, .36, .30, .34, .45, .55}

const (
	perEpoch = 58
	epochs   = 30
	module   = 2 * 768 * 8 // scalars
)

// singular returns eight decreasing values whose SFS with k = 2 is s.
func singular(s, total float64) []float64 {
	v := []float64{0.6 * (1 - s) * total, 0.4 * (1 - s) * total}
	sum := 0.0
	for i := range 6 {
		sum += math.Pow(0.75, float64(i))
	}
	for i := range 6 {
		v = append(v, s*total*math.Pow(0.75, float64(i))/sum)
	}
	return v
}

// synthetic describes a synthetic run. Its fields change what a test needs to
// change.
type synthetic struct {
	method   string
	merges   int // schedule.max_merges
	events   bool
	losses   bool
	epochs   int // number of logged epochs; `epochs` is all
	finished bool
	seed     uint64
	drift    float64 // added to the training loss after epoch 5
}

func whole() synthetic {
	return synthetic{method: "lor2c", events: true, losses: true, epochs: epochs, finished: true, seed: 17}
}

// write writes the run directory.
func (s synthetic) write(t testing.TB, dir string) string {
	t.Helper()
	c := config.Default()
	c.Model, c.Out, c.Seed = "models/roberta-base", "runs/x", s.seed
	c.Data.Task, c.Data.Dir = "mrpc", "data/mrpc"
	c.Method, c.Schedule.MaxMerges = adapter.NewConfig(s.method), s.merges
	c.Train.Epochs, c.Train.BatchSize, c.Optim.LR = epochs, 64, 4e-4
	c.Resolve()
	must(t, os.MkdirAll(dir, 0o777))
	put(t, dir, "config.resolved.yaml", string(c.YAML()))
	put(t, dir, "env.json", `{"device":"cpu","cpu":"Example CPU","version":"v1.2.3","revision":"0123456789abcdef"}`)
	log, err := runlog.Open(dir,
		runlog.Options{Scores: []string{"accuracy", "f1"}, Steps: epochs * perEpoch, Epochs: epochs, Stdout: io.Discard,
			Stderr: io.Discard})
	must(t, err)
	s.log(log)
	if s.finished {
		must(t, log.Finish(runlog.Results{Epoch: epochs, TrainLoss: 0.25, TrainSamples: 3668,
			Evals: []runlog.Eval{{Step: 1740, Epoch: 30, Split: "dev", Loss: 0.3,
				Scores: map[string]float64{"accuracy": 0.9, "f1": 0.925}}}}))
	}
	must(t, log.Close())
	return dir
}

func (s synthetic) log(log *runlog.Run) {
	structure := schedule.Structure{Injected: []int{}}
	scores := map[schedule.Span]float64{}
	for l := range 12 {
		structure.Modules = append(structure.Modules, schedule.Span{First: l, Last: l})
		scores[schedule.Span{First: l, Last: l}] = sfs[l]
	}
	log.Baseline(runlog.Baseline{Split: "dev", Examples: 408, Label: "1", Count: 279,
		Scores: metric.Scores{"accuracy": 0.6838, "f1": 0.8122}})
	if s.events {
		plan := schedule.Plan{Layers: 12, Rank: 8, Parameters: 12 * module, MaxMerges: 3, MaxInjects: 3, Score: "sfs",
			SFSK: 2}
		for e := 3; e <= 9; e += 3 {
			due := schedule.Time{Step: e * perEpoch, Epoch: float64(e)}
			plan.Merges, plan.Injects = append(plan.Merges, due), append(plan.Injects, due)
		}
		log.Structure(plan)
	}
	best := 0.0
	for e := 1; e <= s.epochs; e++ {
		for i := 1; i <= perEpoch; i++ {
			step := (e-1)*perEpoch + i
			if step%10 != 0 && i != perEpoch {
				continue
			}
			at := float64(step) / perEpoch
			loss := 0.08 + 0.6*math.Exp(-at/6) + 0.02*math.Sin(3.1*at)*math.Exp(-at/12)
			if e > 5 {
				loss += s.drift
			}
			log.Train(runlog.Train{Step: step, Epoch: at, Loss: loss, LearningRate: 4e-4 * (1 - at/epochs),
				GradNorm: 1 + math.Cos(at)/4})
		}
		if s.events {
			structure = s.logStructure(log, e, structure, scores)
		}
		accuracy := math.Round(408*(0.89-0.2*math.Exp(-float64(e)/5)+0.006*math.Sin(float64(e)*1.7))) / 408
		log.Eval(runlog.Eval{Step: e * perEpoch, Epoch: float64(e), Split: "dev",
			Loss:      0.3 + 0.3*math.Exp(-float64(e)/4) + 0.003*float64(e),
			Scores:    map[string]float64{"accuracy": accuracy, "f1": accuracy + 0.03},
			Intervals: map[string]*metric.Interval{"accuracy": {Low: 0.85, High: 0.92}, "f1": nil}, Best: accuracy > best})
		best = math.Max(best, accuracy)
	}
}

// logStructure logs the spectrum at the end of an epoch and the events of the
// epoch, and returns the structure after them.
func (s synthetic) logStructure(
	log *runlog.Run, e int, now schedule.Structure, scores map[schedule.Span]float64,
) schedule.Structure {
	step := e * perEpoch
	record := schedule.Spectrum{Step: step, Epoch: float64(e), Score: "sfs"}
	for _, m := range now.Modules {
		record.Modules = append(record.Modules,
			schedule.Module{Span: m, Singular: singular(scores[m], 4*(1-math.Exp(-float64(e)/6)))})
		record.Scores = append(record.Scores, scores[m])
	}
	log.Structure(record)
	if e != 3 && e != 6 && e != 9 {
		return now
	}
	for _, action := range []string{"merge", "inject"} {
		ev := schedule.Event{Step: step, Epoch: float64(e), Action: action, Before: now}
		base := 0.6 - 0.01*float64(e)
		if s.losses {
			ev.Loss, ev.Sample = &base, 64
		}
		for i, m := range now.Modules {
			c := schedule.Candidate{Span: m, Members: []schedule.Span{m}, Scores: []float64{scores[m]}, Score: scores[m]}
			if action == "inject" && m.First != m.Last {
				continue
			}
			if action == "merge" {
				if i+1 == len(now.Modules) || now.Modules[i+1].First != m.Last+1 {
					continue
				}
				n := now.Modules[i+1]
				c = schedule.Candidate{Span: schedule.Span{First: m.First, Last: n.Last}, Members: []schedule.Span{m, n},
					Scores: []float64{scores[m], scores[n]}, Score: scores[m] + scores[n]}
			}
			if s.losses {
				loss := base + 0.02*c.Score + 0.004*math.Sin(9*float64(m.First+e))
				se := 0.002
				c.Loss, c.ChangeSE = &loss, &se
			}
			ev.Candidates = append(ev.Candidates, c)
		}
		for i, c := range ev.Candidates {
			if c.Score < ev.Candidates[ev.Winner].Score {
				ev.Winner = i
			}
		}
		won := ev.Candidates[ev.Winner]
		ev.Span, ev.Keep = won.Span, won.First
		ev.ParametersBefore = module*len(now.Modules) + module*len(now.Injected)
		next := schedule.Structure{Modules: slices.Clone(now.Modules), Injected: slices.Clone(now.Injected)}
		i := slices.IndexFunc(next.Modules, func(m schedule.Span) bool { return m.First == won.First })
		if action == "merge" {
			if won.Scores[1] > won.Scores[0] {
				ev.Keep = won.Members[1].First
			}
			scores[won.Span] = math.Max(won.Scores[0], won.Scores[1])
			next.Modules = slices.Replace(next.Modules, i, i+2, won.Span)
		} else {
			next.Modules = slices.Delete(next.Modules, i, i+1)
			next.Injected = append(next.Injected, won.First)
		}
		ev.ParametersAfter = module*len(next.Modules) + module*len(next.Injected)
		ev.After, now = next, next
		log.Structure(ev)
	}
	return now
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
}

// readOne reads a run and fails the test if that fails.
func readOne(t testing.TB, s synthetic) *Report {
	t.Helper()
	r, err := Read([]string{s.write(t, filepath.Join(t.TempDir(), fmt.Sprintf("%s-%d", s.method, s.seed)))})
	must(t, err)
	return r
}
