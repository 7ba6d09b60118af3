package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/serve"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// named returns the adapters of the flags, each with a name.
func (o serveOptions) named() (names, dirs []string, err error) {
	if names, dirs, err = sources("serve", o.adapters, o.runs, o.checkpoint); err != nil {
		return nil, nil, err
	}
	for i := range names {
		if names[i] == "" {
			names[i] = nameOf(dirs[i])
		}
		if err := serve.CheckName(names[i]); err != nil {
			return nil, nil, usageError{err}
		}
	}
	return names, dirs, nil
}

var (
	checkpointName = regexp.MustCompile(`^(best|final|checkpoint-\d+)$`)
	unusual        = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
)

// nameOf returns a name for the adapter in a directory: that of the directory or, of a checkpoint, that of the run.
func nameOf(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if checkpointName.MatchString(filepath.Base(dir)) {
		dir = filepath.Dir(dir)
	}
	name := strings.TrimLeft(unusual.ReplaceAllString(filepath.Base(dir), "-"), "._-")
	if name == "" {
		return "adapter"
	}
	return name[:min(len(name), 64)]
}

// open loads the adapters and returns their server, and a function that closes what it uses.
func (o serveOptions) open(names, dirs []string) (s *serve.Server, closeAll func(), err error) {
	all, err := train.OpenPredictor(dirs, o.model)
	if err != nil {
		return nil, nil, err
	}
	dev, err := openTrainer(o.device, o.precision)
	if err != nil {
		all.Close()
		return nil, nil, err
	}
	closeAll = func() {
		all.Close()
		dev.Close()
	}
	screen := terminal.Open(os.Stderr, terminal.Of(os.Stderr), nil)
	var adapters []serve.Adapter[serve.Model]
	for i, p := range all.Each() {
		if err := p.Load(dev); err != nil {
			closeAll()
			return nil, nil, err
		}
		for _, note := range p.Notes() {
			screen.Print(terminal.Plain, note, 2)
		}
		adapters = append(adapters, serve.Adapter[serve.Model]{Name: names[i], Dir: dirs[i], Model: p})
	}
	first := all.Each()[0]
	return serve.NewLabels(o.Options, compute.Device(dev), adapters, func(dir string) (serve.Model, error) {
		return first.Beside(dir)
	}), closeAll, nil
}
