package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/sweep"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// configFlags are the flags of every command that reads a run file.
type configFlags struct {
	file string
	sets []string
}

func (f *configFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "run `FILE` (YAML)")
	c.Flags().StringArrayVar(&f.sets, "set", nil,
		"override a key of the run file, `KEY=VALUE`, as in --set optim.lr=1e-3 (may be repeated)")
}

func (f *configFlags) load(c *cobra.Command) (*config.Config, error) {
	if f.file == "" {
		return nil, usageError{fmt.Errorf("lor2c: read configuration: no run file is named; name one with -c FILE")}
	}
	return config.LoadContext(c.Context(), f.file, f.sets, os.Environ())
}

type trainOptions struct {
	configFlags
	device, out, resume, init string
	extend                    []int
	json, cell, dryRun        bool
	ranks                     int
	budget                    time.Duration
}

func newTrainCommand() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train -c FILE",
		Short: "Fine-tune a model",
		Long: wrap("Train reads a run file, fine-tunes, evaluates after every epoch and writes a run directory. SIGINT, "+
			"SIGTERM, SIGHUP and SIGUSR1 save the state and stop; the same command continues.\n\n"+
			"A run continues only with the data, model, tokenizer and settings that it was made from; what differs is "+
			"listed. --extend-epochs adds epochs to a run, finished or not: steps that were planned keep their learning "+
			"rate, later ones have that of a run with all of the epochs, and nothing is merged or injected in them. Give the "+
			"same number again to continue, and 2,3 to add three more epochs to a run that was extended by two. "+
			"--init-adapter begins a new run with the values of an adapter of the same method on the same base model; the "+
			"optimizer and the learning rate start from the beginning.\n\n"+
			"--dry-run prints what the run needs and does, and begins nothing: the memory by purpose and the largest "+
			"micro-batch that fits, the disk, the steps, the planned merges and injections, and the time, which up to ten "+
			"steps tell. If the memory does not suffice, it names changes with which it does and ends with code 7, as the run "+
			"would. --budget 2h also measures smaller micro-batches, which change no result but rounding, takes the fastest, "+
			"and says which length of the run ends in that time.\n\n"+
			"--ranks 4 trains with four processes on this host, which share the micro-batches of a step and write the bytes "+
			"of one process. mpirun and srun start them on several hosts, without a flag.", ""),
		Example: "  lor2c train -c run.yaml\n" +
			"  lor2c train -c run.yaml --set optim.lr=1e-3 --out runs/faster\n" +
			"  lor2c train -c run.yaml --dry-run --budget 2h\n" +
			"  lor2c train -c run.yaml --extend-epochs 2\n" +
			"  lor2c train -c run.yaml --set train.micro_batch_size=4 --ranks 2\n" +
			"  lor2c train -c rte.yaml --init-adapter runs/mnli/best\n" +
			"  lor2c train -c run.yaml --json | jq -r 'select(.kind == \"eval\").loss'",
		Annotations: withKeys(exits(exitDevice, exitMismatch, exitNonFinite, exitLost)),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runTrain(c, o) },
	}
	o.configFlags.add(c)
	deviceFlag(c, &o.device)
	c.Flags().StringVar(&o.out, "out", "", "run directory `DIR`, instead of the run file's")
	c.Flags().StringVar(&o.resume, "resume", "auto", "`WHAT` to do with a run in the output directory: "+
		"auto continues it, never refuses it, restart removes its checkpoints and starts again, and a checkpoint "+
		"directory is continued from")
	c.Flags().IntSliceVar(&o.extend, "extend-epochs", nil,
		"train `N` more epochs than the run was planned with; N,M after it was extended before")
	c.Flags().StringVar(&o.init, "init-adapter", "", "start with the values of the adapter in `DIR`")
	c.Flags().BoolVar(&o.json, "json", false, "write records as JSON lines to stdout; with --dry-run, one JSON object")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false,
		"print memory, disk, steps, schedule and time of the run, and begin nothing")
	c.Flags().DurationVar(&o.budget, "budget", 0, "with --dry-run, the `TIME` that the run may take, such as 90m or 2h")
	c.Flags().IntVar(&o.ranks, "ranks", 0, "train as `N` processes on this host, over the MPI library that is installed")
	c.Flags().BoolVar(&o.cell, sweep.CellFlag, false, "run as a cell of a sweep: stop when standard input ends, "+
		"and wait for a process that trains in the directory")
	_ = c.Flags().MarkHidden(sweep.CellFlag)
	return c
}

func runTrain(c *cobra.Command, o trainOptions) error {
	if err := checkPaths("--out", o.out, "--resume", o.resume, "--init-adapter", o.init); err != nil {
		return err
	}
	words := []string{train.ResumeAuto, train.ResumeNever, train.ResumeRestart}
	if info, err := os.Stat(o.resume); !slices.Contains(words, o.resume) && (err != nil || !info.IsDir()) {
		return usageError{fmt.Errorf("lor2c: train: --resume is %s, and there is no such directory; "+
			"want %s or a checkpoint directory",
			place.Quote(o.resume), strings.Join(words, ", "))}
	}
	if o.out != "" {
		o.sets = append(o.sets, "out="+o.out)
	}
	if o.init != "" {
		o.sets = append(o.sets, "init_adapter="+o.init)
	}
	if o.extend != nil {
		o.sets = append(o.sets, "train.extend_epochs="+strings.ReplaceAll(fmt.Sprint(o.extend), " ", ","))
	}
	if c.Flags().Changed("ranks") && o.ranks < 1 {
		return usageError{fmt.Errorf("lor2c: train: --ranks is %d; want the number of processes, 1 or more",
			o.ranks)}
	}
	switch budgeted := c.Flags().Changed("budget"); {
	case budgeted && !o.dryRun:
		return usageError{errors.New("lor2c: train: --budget plans a run and needs --dry-run beside it")}
	case budgeted && o.budget <= 0:
		return usageError{fmt.Errorf("lor2c: train: --budget is %v; want a time above 0", o.budget)}
	}
	if o.cell {
		stopsWithInput(c.Context(), os.Stdin)
	}
	cfg, err := o.load(c)
	if err != nil {
		return err
	}
	ranks, err := joinGroup(&o)
	if err != nil {
		return err
	}
	if ranks == nil && o.ranks > 1 {
		return launchRanks(c, o.ranks)
	}
	dev, err := openTrainer(o.device, cfg.Train.Precision)
	if err != nil {
		return leaveGroup(ranks, err)
	}
	defer dev.Close()
	if o.dryRun {
		return forecast(c, cfg, dev, o)
	}
	outlivePipes()
	got, err := train.Run(c.Context(), cfg, train.Options{
		Began: func() { endsItself(c.Context()) }, Group: ranks,
		Device: dev, BLAS: products(dev), Resume: o.resume, Wait: o.cell, JSON: o.json, Terminal: terminal.Of(os.Stderr),
		Stdout: lineWriter{c.OutOrStdout()}, Stderr: os.Stderr,
	})
	if err = leaveGroup(ranks, err); err != nil {
		return err
	}
	if !o.json && (ranks == nil || ranks.Rank() == 0) {
		printOutcome(screenOfStdout(c), got, cfg.Data.Test != "")
	}
	return nil
}

// printOutcome writes the scores of the best epoch, the path of its adapter and the
// command that evaluates it. The command names the test split if test is set.
func printOutcome(s *terminal.Screen, got *train.Outcome, test bool) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 2) }
	line("best epoch %.4g: %s", got.BestEpoch, scoreLine(got.Dev))
	var beside []string
	if i := got.Dev.Intervals[got.Select]; i != nil {
		beside = append(beside, fmt.Sprintf("95 %% interval of %s %.4f to %.4f", got.Select, i.Low, i.High))
	}
	if b := got.Baseline; b.Label != "" {
		beside = append(beside,
			fmt.Sprintf("always predicting %s has %v", place.Quote(b.Label), metric.Number(b.Scores[got.Select])))
	}
	if beside != nil {
		line("%s", strings.Join(beside, "; "))
	}
	command := "lor2c eval --run " + shellQuote(got.Out)
	if test {
		command += " --split test"
	}
	line("adapter: %s\nevaluate: %s", filepath.Join(got.Out, "best"), command)
}

// plainWord matches words that a shell does not change.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./+=:,@%-]+$`)

// shellQuote quotes a word for a POSIX shell, if that is necessary.
func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
