package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/report"
	"github.com/lor2c/lor2c/internal/train"
)

type reportOptions struct {
	format, out, figures string
}

// reportFormats are the values of --format.
var reportFormats = []string{"html", "json", "md", "csv"}

func newMergeReportCommand() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "merge-report RUN [RUN ...]",
		Short: "Report what runs merged and injected, and why",
		Long: wrap("Merge-report reads run directories, finished or not, and writes one HTML page that needs no network: "+
			"loss and metric with the merges and injections, scores and spectra of every module, every candidate of every "+
			"event, the structure before and after, and the parameters over time. Several runs are set side by side, with "+
			"what differs in their configurations and the first records that differ.", ""),
		Example: "  lor2c merge-report runs/verdicts\n" +
			"  lor2c merge-report runs/a runs/b --format md\n" +
			"  lor2c merge-report runs/verdicts --format csv --out candidates.csv",
		Annotations: exits(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("lor2c: merge-report: no run is named; " +
					"name one or more directories that lor2c train wrote")}
			}
			return nil
		},
		ValidArgsFunction: runs,
		RunE:              func(c *cobra.Command, runs []string) error { return runMergeReport(c, o, runs) },
	}
	c.Flags().StringVar(&o.format, "format", "html",
		"format `NAME`: "+strings.Join(reportFormats, ", ")+"; csv has one row per candidate")
	c.Flags().StringVar(&o.out, "out", "",
		"`FILE` to write (html: report.html in the first run; others: -, standard output)")
	c.Flags().StringVar(&o.figures, "figures", "", "also write every figure as PNG and SVG into directory `DIR`")
	return c
}

func runMergeReport(c *cobra.Command, o reportOptions, runs []string) error {
	if !slices.Contains(reportFormats, o.format) {
		return usageError{fmt.Errorf("lor2c: merge-report: --format is %q; want %s", o.format,
			strings.Join(reportFormats, ", "))}
	}
	if err := checkPaths(append([]string{"--figures", o.figures}, named("a run", runs)...)...); err != nil {
		return err
	}
	for _, run := range runs {
		if info, err := os.Stat(run); err != nil || !info.IsDir() {
			return usageError{fmt.Errorf("lor2c: merge-report: there is no directory %s; "+
				"name a directory that lor2c train wrote", run)}
		}
	}
	if o.out == "" && o.format == "html" {
		o.out = filepath.Join(runs[0], "report.html")
	} else if o.out == "" {
		o.out = "-"
	}
	out := output{"--out", o.out}
	if err := out.check(readByRuns(c.Context(), runs)...); err != nil {
		return err
	}
	r, err := report.Read(runs)
	if errors.Is(err, report.ErrNoRun) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if o.figures != "" {
		if err := figure.WriteFiles(o.figures, r.Figures()); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "figures: %s\n", o.figures)
	}
	write := map[string]func(io.Writer) error{"html": r.HTML, "json": r.JSON, "md": r.Markdown, "csv": r.CSV}[o.format]
	if err := out.write(c, write); err != nil {
		return err
	}
	if !out.toStdout() {
		fmt.Fprintf(os.Stderr, "report:  %s\n", o.out)
	}
	return nil
}

// readByRuns returns the data files and model folders of runs, which a report must not
// overwrite although it does not read them. A run whose run file cannot be read has
// none: the report does not need that file.
func readByRuns(ctx context.Context, runs []string) (paths []string) {
	for _, run := range runs {
		if cfg, err := config.LoadContext(ctx, filepath.Join(run, train.ConfigFile), nil, nil); err == nil {
			paths = append(paths, train.Inputs(cfg)...)
		}
	}
	return paths
}
