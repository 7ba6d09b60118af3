package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

type exportOptions struct {
	run, checkpoint, format, dtype, out string
	sets                                []string
}

// exportTypes are the values of --dtype, which are the names of safetensors in small letters.
var exportTypes = []string{"f32", "f16", "bf16"}

func newExportCommand() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export --run DIR --format NAME --out DIR",
		Short: "Merge an adapter into its base model, or write it for PEFT, as ONNX or as GGUF",
		Long: wrap("Export writes the best adapter of a run in another form. merged is a model directory that "+
			"transformers loads, with the adapter added to the weights in float32 and rounded once to the precision of the "+
			"base model. merged-nf4 is the same with the weights of linear layers in four bits, as bitsandbytes stores "+
			"them. lora is a LoRA adapter of PEFT that computes the same. peft is the adapter as PEFT writes those of "+
			"the method. onnx is a directory with an encoder, its head and its adapter as an ONNX model in float32, which "+
			"onnxruntime loads; the modules of LoR2C are a part of its graph. gguf is a decoder with the adapter in its "+
			"weights and with its tokenizer as one file, which llama.cpp loads, and gguf-lora is a LoRA adapter for it "+
			"that computes the same beside the base model. A method that the form cannot express is refused "+
			"with the reason; lor2c methods and docs/methods.md have the methods.\n\n"+
			"The outputs of adapter and export are compared on 32 rows of dev, and the difference is printed. lor2c does not "+
			"run ONNX or GGUF models: it compares what its own forward pass computes with the values that it writes.", ""),
		Example: "  lor2c export --run runs/verdicts --format onnx --out models/verdicts\n" +
			"  lor2c export --run runs/lora --format merged --out models/lora\n" +
			"  lor2c export --run runs/lora --format lora --out adapters/lora\n" +
			"  lor2c export --run runs/chat --format gguf --dtype f16 --out models/chat",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runExport(c, o) },
	}
	c.Flags().StringVar(&o.run, "run", "", "run directory `DIR` that lor2c train wrote")
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "best", "checkpoint `NAME`: best, final or checkpoint-N")
	c.Flags().StringVar(&o.format, "format", "", "`NAME` of the form: "+strings.Join(adapter.Formats, ", "))
	c.Flags().StringVar(&o.dtype, "dtype", "", "`TYPE` of the matrices of merged and gguf: "+
		strings.Join(exportTypes, ", ")+" (default: that of the base model)")
	c.Flags().StringVar(&o.out, "out", "", "new directory `DIR` to write")
	c.Flags().StringArrayVar(&o.sets, "set", nil, "override a key of the run file, `KEY=VALUE`, such as data.dev=PATH")
	_ = c.RegisterFlagCompletionFunc("format", words(adapter.Formats...))
	_ = c.RegisterFlagCompletionFunc("dtype", words(exportTypes...))
	return c
}

func runExport(c *cobra.Command, o exportOptions) error {
	switch {
	case o.run == "" || o.out == "":
		return usageError{fmt.Errorf("lor2c: export: name a run with --run DIR and a new directory with --out DIR")}
	case !slices.Contains(adapter.Formats, o.format):
		return usageError{fmt.Errorf("lor2c: export: --format is %s; want one of %s", place.Quote(o.format),
			strings.Join(adapter.Formats, ", "))}
	case o.dtype != "" && !slices.Contains(exportTypes, o.dtype):
		return usageError{fmt.Errorf("lor2c: export: --dtype is %s; want one of %s", place.Quote(o.dtype),
			strings.Join(exportTypes, ", "))}
	case o.dtype != "" && o.format != adapter.FormatMerged && o.format != adapter.FormatGGUF:
		return usageError{fmt.Errorf("lor2c: export: --dtype is %s, and --format %s has a type of its own; want --format "+
			"merged or gguf", o.dtype, o.format)}
	}
	if err := checkPaths("--run", o.run, "--out", o.out); err != nil {
		return err
	}
	dir, err := train.AdapterDir(o.run, o.checkpoint)
	if err != nil {
		return usageError{err}
	}
	cfg, err := config.LoadContext(c.Context(), filepath.Join(o.run, train.ConfigFile), o.sets, nil)
	if err != nil {
		return err
	}
	// An export is arithmetic in float32 on the host, whatever the run was trained on.
	dev, err := openDevice("cpu", config.Float32)
	if err != nil {
		return err
	}
	defer dev.Close()
	endsItself(c.Context())
	e, err := train.Export(c.Context(), cfg, dev, dir, o.out, o.format, checkpoint.DType(strings.ToUpper(o.dtype)))
	if err != nil {
		return err
	}
	for _, note := range e.Notes {
		fmt.Fprintln(c.ErrOrStderr(), note)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s of %v\n", o.out, o.format, e)
	return err
}
