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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lor2c/lor2c/internal/train"
)

// Options is how a sweep runs its cells.
type Options struct {
	Executable string    // path of lor2c
	Device     string    // as lor2c train takes it
	Progress   io.Writer // gets one line when a cell starts and one when it ends
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
	if done := len(s.Cells) - len(todo); done > 0 {
		fmt.Fprintf(o.Progress, "%d of %d cells are done already\n", done, len(s.Cells))
	}
	if len(todo) == 0 {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(s.Out, logsDir), 0o777); err != nil {
		return fmt.Errorf("sweep: open %s: %w; want a directory that can be written", s.Out, bare(err))
	}
	p := progress{to: o.Progress, cells: len(todo), parallel: s.Parallel, start: time.Now()}
	queue := make(chan Cell)
	var workers sync.WaitGroup
	for range min(s.Parallel, len(todo)) {
		workers.Go(func() {
			for c := range queue {
				p.begin(c)
				f := s.train(ctx, c, o)
				p.end(c, f, s.done(c))
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
	if ctx.Err() != nil {
		return fmt.Errorf("sweep: %d of %d cells are done: %w; the same command continues", s.countDone(), len(s.Cells), train.ErrInterrupted)
	}
	return p.err(len(s.Cells))
}

// done reports whether a cell has results, which lor2c train writes last.
func (s *Sweep) done(c Cell) bool {
	_, err := os.Stat(filepath.Join(s.Dir(c), "all_results.json"))
	return err == nil
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
// sweep was interrupted.
func (s *Sweep) train(ctx context.Context, c Cell, o Options) *failure {
	log := filepath.Join(s.Out, logsDir, c.Name+".log")
	failed := func(what string) *failure { return &failure{c, what, log} }
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o666)
	if err != nil {
		return failed(err.Error())
	}
	defer file.Close()
	args := []string{"train", "-c", c.Base, "--device", o.Device, "--resume", "auto", "--" + CellFlag, "--out", s.Dir(c)}
	for _, set := range c.args() {
		args = append(args, "--set", set)
	}
	cmd := exec.CommandContext(ctx, o.Executable, args...)
	cmd.Stdout, cmd.Stderr = file, file
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

// progress counts cells and writes the progress of the sweep.
type progress struct {
	mu              sync.Mutex
	to              io.Writer
	cells, parallel int
	begun, ended    int
	start           time.Time
	failures        []*failure
}

func (p *progress) begin(c Cell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	fmt.Fprintf(p.to, "%s: begins (%d of %d)\n", c.Name, p.begun, p.cells)
}

func (p *progress) end(c Cell, f *failure, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
	what := "done"
	switch {
	case f != nil:
		p.failures = append(p.failures, f)
		what = "FAILED: " + f.what
	case !done:
		what = "interrupted"
	}
	left := ""
	if n := p.cells - p.ended; n > 0 && what != "interrupted" {
		pace := time.Since(p.start) / time.Duration(p.ended)
		left = fmt.Sprintf(", %d to go, about %v", n, (pace * time.Duration(n)).Round(time.Second))
	}
	fmt.Fprintf(p.to, "%s: %s%s\n", c.Name, what, left)
}

// err returns an error that names the failed cells, or nil if there are none.
func (p *progress) err(cells int) error {
	if p.failures == nil {
		return nil
	}
	var lines strings.Builder
	for _, f := range p.failures {
		fmt.Fprintf(&lines, "\n  %s: %s (%s)", f.cell.Name, f.what, f.log)
	}
	return fmt.Errorf("sweep: %d of %d %w; the same command tries them again:%s", len(p.failures), cells, ErrFailed, lines.String())
}
