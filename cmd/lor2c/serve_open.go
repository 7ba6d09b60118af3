package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
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

// open loads the models and returns their server, and a function that closes what it uses.
func (o serveOptions) open(c *cobra.Command, names, dirs []string) (*serve.Server, func(), error) {
	decoder := len(dirs) == 0
	if !decoder {
		first, err := adapter.Open(dirs[0])
		if err != nil {
			return nil, nil, err
		}
		// An adapter of PEFT names no task; one of a decoder has no head.
		decoder = first.Task.Name == dataset.Instruct || first.Outputs() == 0
		first.Close()
	}
	if root := o.AdapterRoot; root != "" {
		if info, err := os.Stat(root); err != nil || !info.IsDir() {
			return nil, nil, usageError{fmt.Errorf("lor2c: serve: --adapter-root %s is not a directory; want one with adapters",
				root)}
		}
	}
	if decoder {
		o.Batch = cmp.Or(o.Batch, 8)
		return o.openDecoder(c, names, dirs)
	}
	o.Batch = cmp.Or(o.Batch, 64)
	return o.openLabels(names, dirs)
}

// openLabels loads adapters of encoders.
func (o serveOptions) openLabels(names, dirs []string) (*serve.Server, func(), error) {
	all, err := train.OpenPredictor(dirs, o.model)
	if err != nil {
		return nil, nil, err
	}
	dev, err := openTrainer(o.device, o.precision)
	if err != nil {
		all.Close()
		return nil, nil, err
	}
	closeAll := func() {
		all.Close()
		dev.Close()
	}
	screen := screenOfStderr()
	var adapters []serve.Adapter[serve.Model]
	parts := all.Each()
	for i, p := range parts {
		if err := p.Load(dev); err != nil {
			closeAll()
			return nil, nil, err
		}
		for _, note := range p.Notes() {
			screen.Print(terminal.Plain, note, 2)
		}
		adapters = append(adapters, serve.Adapter[serve.Model]{Name: names[i], Dir: dirs[i], Model: p})
	}
	open := func(dir string) (serve.Model, error) { return parts[0].Beside(dir) }
	return serve.NewLabels(o.Options, dev, adapters, open), closeAll, nil
}

// openDecoder loads a decoder and adapters of it, or one adapter that changes the decoder.
func (o serveOptions) openDecoder(c *cobra.Command, names, dirs []string) (*serve.Server, func(), error) {
	texts, err := generate.Open(generate.Source{Model: o.model, Adapter: append(dirs, "")[0]})
	if err != nil {
		return nil, nil, err
	}
	closeAll := texts.Close
	fail := func(err error) (*serve.Server, func(), error) {
		closeAll()
		return nil, nil, err
	}
	base, all, err := o.voices(texts, names, dirs)
	if err != nil {
		return fail(err)
	}
	dev, err := openDevice(o.device, o.precision)
	if err != nil {
		return fail(err)
	}
	closeAll = func() {
		texts.Close()
		dev.Close()
	}
	o.lengths.Context = min(o.lengths.Context, base.MaxTokens)
	g, err := loadDecoder(c, dev, base, o.Batch, o.lengths.Context, 0)
	if err != nil {
		return fail(err)
	}
	for _, v := range all {
		if !base.Shares() {
			v.Model.Alone(g)
		} else if err := v.Model.Attach(g); err != nil {
			return fail(err)
		}
	}
	s, err := serve.NewDecoder(o.Options, g, o.lengths, all, func(dir string) (*serve.Voice, error) {
		if !base.Shares() {
			return nil, place.Mistake(fmt.Errorf("lor2c: serve: the adapter %s changes its base model; start a server without "+
				"it for further adapters", dirs[0]))
		}
		t, err := base.With(dir)
		if err != nil {
			return nil, err
		}
		return serve.NewVoice(t, o.template), nil
	})
	if err != nil {
		return fail(err)
	}
	return s, closeAll, nil
}

// voices returns what is loaded, which is texts or its base model, and what requests name: the adapters in dirs and, if
// they share the base model, that model itself.
func (o serveOptions) voices(texts *generate.Texts, names, dirs []string) (
	base *generate.Texts, all []serve.Adapter[*serve.Voice], err error) {
	add := func(name, dir string, t *generate.Texts) {
		all = append(all, serve.Adapter[*serve.Voice]{Name: name, Dir: dir, Model: serve.NewVoice(t, o.template)})
	}
	if !texts.Shares() {
		if len(dirs) > 1 {
			return nil, nil, usageError{fmt.Errorf("lor2c: serve: the adapter %s changes its base model; serve it alone",
				dirs[0])}
		}
		add(names[0], dirs[0], texts)
		return texts, all, nil
	}
	base = texts.Base()
	for i, dir := range dirs {
		t, err := base.With(dir)
		if err != nil {
			return nil, nil, err
		}
		add(names[i], dir, t)
	}
	if name := nameOf(base.Dir()); !slices.Contains(names, name) {
		add(name, base.Dir(), base)
	}
	return base, all, nil
}
