package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/watch"
)

func newWatchCommand() *cobra.Command {
	var once bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "watch DIR",
		Short: "Show a run or a sweep while it is trained, from any shell",
		Long: wrap("Watch reads the files of a run, running or finished, and draws the loss with the merges and injections "+
			"below it, the metric on dev, learning rate, gradient norm, speed, memory, the schedule, and the SFS of every "+
			"layer, once a second. For the directory of a sweep it lists the cells and the spread over seeds so far. It says "+
			"whether the process still trains. q quits, space holds the picture, ? says so; no key changes the run. A "+
			"picture has up to 24 rows at 80 columns, and narrower terminals wrap texts. Without a terminal, or with --once, "+
			"it prints one picture and ends.", ""),
		Example: "  lor2c watch runs/verdicts\n" +
			"  lor2c watch runs/sweep --every 10s\n" +
			"  lor2c watch runs/verdicts --once | less",
		Annotations: exits(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("lor2c: watch: name one directory of a run or a sweep")}
			}
			return checkPath("DIR", args[0])
		},
		ValidArgsFunction: runs,
		RunE: func(c *cobra.Command, args []string) error {
			if every < 100*time.Millisecond {
				return usageError{errors.New("lor2c: watch: --every is below 100ms; want at least that")}
			}
			return runWatch(c, args[0], once, every)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "print one picture without control of the terminal")
	c.Flags().DurationVar(&every, "every", time.Second, "`TIME` between two pictures")
	return c
}

func runWatch(c *cobra.Command, dir string, once bool, every time.Duration) error {
	tty := terminal.Of(os.Stdout)
	tick := time.NewTicker(every)
	defer tick.Stop()
	o := watch.Options{
		Out: lineWriter{c.OutOrStdout()}, Terminal: tty, Once: once, Tick: tick.C,
	}
	if tty.Live && !once {
		keys, restore := readKeys()
		defer restore()
		o.Keys = keys
		endsItself(c.Context())
	}
	return watch.Run(c.Context(), dir, o)
}

// readKeys makes standard input, if it is a terminal, give every key at once, and returns the keys and a function that
// makes it as it was. Keys is nil if standard input is not a terminal.
func readKeys() (keys <-chan byte, restore func()) {
	fd := int(os.Stdin.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, func() {}
	}
	pressed := make(chan byte)
	go func() {
		defer close(pressed)
		for b := make([]byte, 1); ; {
			if n, err := os.Stdin.Read(b); n == 0 || err != nil {
				return
			}
			pressed <- b[0]
		}
	}()
	return pressed, func() { _ = term.Restore(fd, state) }
}
