package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
)

// follows reports whether another rank writes the files of the run.
func (r *run) follows() bool { return r.group != nil && r.group.Rank() > 0 }

// join prepares a run on several ranks. A rank that follows has a directory of its own, which nobody reads, and prints
// nothing. The function that join returns removes the directory.
func (r *run) join(ctx context.Context, o *Options) (leave func(), err error) {
	leave = func() {}
	if o.Group == nil || o.Group.Size() == 1 {
		return leave, nil
	}
	r.group, r.stop = o.Group, func() bool { return ctx.Err() != nil }
	t, ranks := r.session.Config.Train, r.group.Size()
	if each := t.BatchSize / ranks; t.BatchSize/t.MicroBatchSize < ranks {
		return leave, place.Mistake(fmt.Errorf("train: divide a step among %d ranks: train.batch_size is %d and "+
			"train.micro_batch_size %d, so that a step has %s; want a train.micro_batch_size of at most %d, or fewer ranks",
			ranks, t.BatchSize, t.MicroBatchSize, place.Count(t.BatchSize/t.MicroBatchSize, "micro-batch", "micro-batches"),
			max(each, 1)))
	}
	if !r.follows() {
		r.note("ranks: %d processes share the micro-batches of a step", ranks)
		return leave, nil
	}
	o.Stdout, o.Stderr, o.Terminal, o.JSON = io.Discard, io.Discard, terminal.Terminal{}, false
	if r.out, err = os.MkdirTemp("", "lor2c-rank-"); err != nil {
		return leave, fmt.Errorf("train: join the group: %w", err)
	}
	return func() { os.RemoveAll(r.out) }, nil
}

// claimed is claim, by rank 0 for all ranks: the others read the checkpoint from which it continues.
func (r *run) claimed(resume string) (from string, err error) {
	if !r.follows() {
		if from, err = r.claim(resume); err != nil || r.group == nil {
			return from, err
		}
	}
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(from)))
	if err := r.group.Broadcast(length); err != nil {
		return "", err
	}
	path := make([]byte, binary.LittleEndian.Uint64(length))
	copy(path, from)
	if err := r.group.Broadcast(path); err != nil {
		return "", err
	}
	if from = string(path); from != "" && r.follows() {
		return from, r.check(from)
	}
	return from, nil
}

// interrupted reports whether the run must stop after the step that was queued last: whether ctx had ended, on any
// rank, so that all ranks stop after the same step.
func (r *run) interrupted(ctx context.Context) bool {
	if r.group != nil {
		return r.stepper.shared.stopped
	}
	return ctx.Err() != nil
}

// sameParameters returns an error, at rank 0, if a rank does not have the parameters that rank 0 has.
func (r *run) sameParameters() error {
	if r.group == nil {
		return nil
	}
	hash := sha256.New()
	for _, p := range r.stepper.Opt.Params() {
		hash.Write(group.Bytes(p.Values(r.dev)))
	}
	own := hash.Sum(nil)
	var sums [][]byte
	for range r.group.Size() {
		sums = append(sums, make([]byte, len(own)))
	}
	if err := r.group.Gather(own, sums); err != nil || r.follows() {
		return err
	}
	for rank, sum := range sums {
		if !bytes.Equal(sum, own) {
			return fmt.Errorf("train: step %d: rank %d has other parameters than rank 0, so the step was not saved; hosts with "+
				"different processors need the same LOR2C_CPU, and otherwise a host computes wrongly", r.state.Step, rank)
		}
	}
	return nil
}
