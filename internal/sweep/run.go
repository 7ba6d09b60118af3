package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// Options is how a sweep runs its cells.
type Options struct {
	Executable string    // path of lor2c
	Device     string    // as lor2c train takes it
	Progress   io.Writer // gets lines as cells start, go on and end
	// Terminal says what Progress can show. A terminal has a bar for each running
	// cell instead of lines about it.
	Terminal terminal.Terminal
}

// CellFlag is a flag of lor2c train for the cells of a sweep, which the help
// does not list. With it training stops as by SIGTERM when standard input ends.
// It also waits for another process that trains into the same directory, which
// is a cell of a killed sweep that is still saving.
const CellFlag = "cell"

// ErrFailed is wrapped by the error of Run if cells failed. The other cells are
// done.
var ErrFailed = errors.New("cells failed")

// failure is a cell that failed.
type failure struct {
	cell Cell
	what string
	log  string
}

// Run runs the cells that have no results yet. If a cell fails, the others
// still run; the error names the failed cells and wraps [ErrFailed]. If ctx
// ends, the running cells save and stop, and the error wraps
// train.ErrInterrupted.
func (s *Sweep) Run(ctx context.Context, o Options) error {
	var todo []Cell
	for _, c := range s.Cells {
		if !s.done(c) {
			todo = append(todo, c)
		}
	}
	screen := terminal.Open(o.Progress, o.Terminal, nil)
	if done := len(s.Cells) - len(todo); done > 0 {
		screen.Print(terminal.Plain, fmt.Sprintf("%d of %s done already", done, cellsAre(len(s.Cells))), 2)
	}
	if len(todo) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(s.Out, logsDir), 0o777); err != nil {
		return fmt.Errorf("sweep: open %s: %w; want a directory that can be written", s.Out, bare(err))
	}
	p := newProgress(screen, len(todo), time.Now)
	queue := make(chan Cell)
	var workers sync.WaitGroup
	for range min(s.Parallel, len(todo)) {
		workers.Go(func() {
			for c := range queue {
				cell := p.begin(c)
				f := s.train(ctx, c, o, &records{p: p, cell: cell})
				p.end(cell, f, s.done(c))
			}
		})
	}
	for _, c := range todo {
		select {
		case queue <- c:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	p.close()
	if ctx.Err() != nil {
		return fmt.Errorf("sweep: %d of %s done: %w; the same command continues", s.countDone(), cellsAre(len(s.Cells)),
			train.ErrInterrupted)
	}
	return p.err(len(s.Cells))
}

// done reports whether a cell has results, which lor2c train writes last. The results
// of a run to which the cell adds epochs do not count.
func (s *Sweep) done(c Cell) bool {
	_, err := os.Stat(filepath.Join(s.Dir(c), "all_results.json"))
	return err == nil && (c.config == nil || !train.Shorter(s.Dir(c), c.config))
}

func (s *Sweep) countDone() (n int) {
	for _, c := range s.Cells {
		if s.done(c) {
			n++
		}
	}
	return n
}

// train runs one cell to its end. It returns nil if the cell succeeded or the
// sweep was interrupted. The records of the run go to records as JSON lines.
func (s *Sweep) train(ctx context.Context, c Cell, o Options, records io.Writer) *failure {
	log := filepath.Join(s.Out, logsDir, c.Name+".log")
	failed := func(what string) *failure { return &failure{c, what, log} }
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o666)
	if err != nil {
		return failed(err.Error())
	}
	defer file.Close()
	args := []string{"train", "-c", c.Base, "--device", o.Device, "--resume", "auto", "--json", "--" + CellFlag, "--out",
		s.Dir(c)}
	for _, set := range c.args() {
		args = append(args, "--set", set)
	}
	cmd := exec.CommandContext(ctx, o.Executable, args...)
	cmd.Stdout, cmd.Stderr = records, file
	cmd.Env = os.Environ()
	if s.Parallel > 1 {
		// More threads than cores would only slow each other down.
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/s.Parallel)))
	}
	// The cell stops when the other end of its standard input is closed, which
	// happens here or, if this process is killed, by the system.
	alive, err := cmd.StdinPipe()
	if err != nil {
		return failed(err.Error())
	}
	cmd.Cancel = alive.Close
	err = cmd.Run()
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case cmd.ProcessState == nil:
		return failed(err.Error())
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		what := "was ended by signal " + status.Signal().String()
		if status.Signal() == syscall.SIGKILL {
			what += "; if memory ran out, run fewer cells at once"
		}
		return failed(what)
	}
	return failed(fmt.Sprintf("exit code %d: %s", cmd.ProcessState.ExitCode(), lastLine(log)))
}

// lastLine returns the last line of a log, which contains the error of lor2c.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
