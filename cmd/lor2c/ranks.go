package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/group/mpi"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// reportedError marks an error that another process has reported. code is the exit code of that process, or 0.
type reportedError struct {
	error
	code int
}

func (e reportedError) Unwrap() error { return e.error }

// joinGroup enters the group of ranks in which a launcher has started this process. It returns nil for one process, and
// for the process that has to start the ranks of --ranks.
func joinGroup(o *trainOptions) (group.Group, error) {
	w, err := group.ReadWorld(os.Getenv)
	switch {
	case err != nil || w.Size == 1:
		return nil, err
	case o.dryRun || o.cell:
		return nil, usageError{fmt.Errorf("lor2c: train: %s has started this process as rank %d of %d; one process "+
			"plans a run with --dry-run or trains a cell of a sweep", w.Launcher, w.Rank, w.Size)}
	case !w.MPI:
		return nil, usageError{fmt.Errorf("lor2c: train: %s has started this process as rank %d of %d, and does not "+
			"prepare it for MPI, over which ranks talk; use lor2c train --ranks %d on one host, mpirun, or srun with a "+
			"matching --mpi", w.Launcher, w.Rank, w.Size, w.Size)}
	case o.ranks > 0 && o.ranks != w.Size:
		return nil, usageError{fmt.Errorf("lor2c: train: --ranks is %d, and %s has started %d processes; leave --ranks out",
			o.ranks, w.Launcher, w.Size)}
	case o.device != "auto" && o.device != "cpu":
		return nil, usageError{fmt.Errorf("lor2c: train: --device is %s, and several ranks train on the CPU only; leave "+
			"--device out, or start one process", place.Quote(o.device))}
	}
	o.device = "cpu"
	return mpi.Open(mpi.Options{Size: w.Size})
}

// leaveGroup ends the part of this rank in a run that has ended with err. After an error it ends all ranks, because
// they would wait for this one.
func leaveGroup(g group.Group, err error) error {
	if g == nil {
		return err
	}
	if err == nil || errors.Is(err, train.ErrInterrupted) {
		closing := g.Close()
		if closing == nil && g.Rank() > 0 && err != nil {
			return reportedError{error: err}
		}
		if closing == nil {
			return err
		}
		err = closing
	}
	screenOfStderr().Print(terminal.Failure, fmt.Sprintf("rank %d of %d: %v", g.Rank(), g.Size(), err), 2)
	g.Abort(exitCode(err))
	return reportedError{error: err}
}

// launchRanks runs this command as a number of ranks on this host.
func launchRanks(c *cobra.Command, ranks int) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("lor2c: train: start %d ranks: %w", ranks, err)
	}
	launcher, err := mpi.Command(ranks, program, os.Args[1:]...)
	if err != nil {
		return usageError{fmt.Errorf("lor2c: train: %w", err)}
	}
	launcher.Stdout, launcher.Stderr = lineWriter{c.OutOrStdout()}, os.Stderr
	endsItself(c.Context())
	if err := launcher.Start(); err != nil {
		return fmt.Errorf("lor2c: train: start %d ranks: %w", ranks, err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-c.Context().Done():
			_ = mpi.Stop(launcher) // fails if the ranks have just ended
		case <-ended:
		}
	}()
	err = launcher.Wait()
	close(ended)
	var exit *exec.ExitError
	switch {
	case err != nil && c.Context().Err() != nil:
		return reportedError{error: train.ErrInterrupted}
	case errors.As(err, &exit):
		return reportedError{err, max(exit.ExitCode(), exitFailure)}
	}
	return err
}
