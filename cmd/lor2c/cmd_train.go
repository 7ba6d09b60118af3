package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/train"
)

// configFlags are what every command that reads a run file takes.
type configFlags struct {
	file string
	sets []string
}

func (f *configFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "run file (YAML)")
	c.Flags().StringArrayVar(&f.sets, "set", nil, "override a key of the run file, as in --set optim.lr=1e-3 (may be repeated)")
}

func (f *configFlags) load() (*config.Config, error) {
	if f.file == "" {
		return nil, usageError{fmt.Errorf("lor2c: read configuration: no run file named; want -c FILE")}
	}
	return config.Load(f.file, f.sets, os.Environ())
}

type trainOptions struct {
	configFlags
	device, out, resume string
	json                bool
}

func newTrainCommand() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train -c FILE",
		Short: "Fine-tune a model",
		Long: "Train reads a run file, fine-tunes, evaluates after every epoch and writes a run directory.\n" +
			"SIGINT, SIGTERM, SIGHUP and SIGUSR1 save the state and stop; the same command continues.\n\nKeys of the run file:\n" + keyHelp() + exitHelp,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runTrain(c, o) },
	}
	o.configFlags.add(c)
	c.Flags().StringVar(&o.device, "device", "auto", "auto, cpu, cuda or cuda:N")
	c.Flags().StringVar(&o.out, "out", "", "run directory, instead of the run file's")
	c.Flags().StringVar(&o.resume, "resume", "auto", "auto: continue the run in the output directory; never: want none there; restart: begin it again without its checkpoints; or a checkpoint directory")
	c.Flags().BoolVar(&o.json, "json", false, "write records as JSON lines to stdout")
	return c
}

func runTrain(c *cobra.Command, o trainOptions) error {
	if o.out != "" {
		o.sets = append(o.sets, "out="+o.out)
	}
	cfg, err := o.load()
	if err != nil {
		return err
	}
	dev, err := openDevice(o.device, cfg.Train.Precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	outlivePipes()
	got, err := train.Run(c.Context(), cfg, train.Options{
		Began:  func() { savesOnSignal(c.Context()) },
		Device: dev, BLAS: cpu.BLAS(), Resume: o.resume, JSON: o.json, Terminal: runlog.Terminal(os.Stderr),
		Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		return err
	}
	if !o.json {
		fmt.Printf("best epoch %d: %s\nadapter: %s\nlogs:    %s\n", got.BestEpoch, scoreLine(got.Dev), got.Out+"/best", got.Out)
	}
	return nil
}

func keyHelp() string {
	var b strings.Builder
	for _, k := range config.Keys() {
		doc := k.Doc
		if k.Values != nil {
			doc += ": " + strings.Join(k.Values, ", ")
		}
		if k.Default != "" {
			doc += " (" + k.Default + ")"
		}
		fmt.Fprintf(&b, "  %-26s %s\n", k.Name, doc)
	}
	return b.String()
}
