package train

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/model"
)

// sharing computes the micro-batches of a step on several ranks, and adds their gradients. A micro-batch is computed as
// a whole by one rank, with the dropout masks of its place in the step. So if the gradients are added in the order of
// the micro-batches, the sum has the same bits with any number of ranks, and in one process.
//
// A nil *sharing adds all gradients in place, as the device computes them.
type sharing struct {
	group   group.Group // nil in one process
	ordered bool        // each gradient is computed on its own and added in order, config.ReduceOrdered
	stop    func() bool // whether this rank was asked to stop; nil in one process
	stopped bool        // whether any rank had been asked to stop when the last step was computed

	owner []int       // by micro-batch of the step, the rank that computes it
	own   []float32   // what this rank has computed; see part
	parts [][]float32 // at rank 0, the same of all ranks
	sum   []float32   // [gradient + extra]
}

// extra is the number of values that a sum has besides the gradient: the loss, and the number of ranks that were asked
// to stop.
const extra = 2

// begin returns how the gradients of the micro-batches of a step are added: nil if there is nothing to do, because
// there is one process, and one micro-batch or sums in place.
func (s *sharing) begin(st *Stepper, micro []model.Batch) *sharing {
	if s == nil || s.group == nil && (len(micro) == 1 || !s.ordered) {
		return nil
	}
	n := st.Opt.Gradient().Shape.Len() + extra
	s.sum = slices.Grow(s.sum[:0], n)[:n]
	clear(s.sum)
	s.owner, s.own = deal(tokensOf(micro), s.size()), s.own[:0]
	return s
}

// tokensOf returns the number of tokens of each batch.
func tokensOf(batches []model.Batch) []int {
	tokens := make([]int, len(batches))
	for i, b := range batches {
		tokens[i] = len(b.IDs)
	}
	return tokens
}

// deal returns the rank of each of some batches with these numbers of tokens, so that all ranks have nearly equally
// many: the longest batch that is left goes to the rank that has the fewest tokens, and balance exchanges batches after
// that.
func deal(tokens []int, ranks int) (owner []int) {
	order := make([]int, len(tokens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return tokens[b] - tokens[a] })
	owner, load := make([]int, len(tokens)), make([]int, ranks)
	for _, i := range order {
		least := slices.Index(load, slices.Min(load))
		owner[i] = least
		load[least] += tokens[i]
	}
	balance(tokens, owner, load)
	return owner
}

// balance exchanges batches of the fullest and the emptiest rank as long as that brings them closer to each other. load
// has the tokens of each rank.
func balance(tokens, owner, load []int) {
	for {
		full, empty := slices.Index(load, slices.Max(load)), slices.Index(load, slices.Min(load))
		gap := load[full] - load[empty]
		give, take, best := -1, -1, gap
		for i := range owner {
			if owner[i] != full {
				continue
			}
			for j := range owner {
				d := tokens[i] - tokens[j]
				if owner[j] != empty || d <= 0 || d >= gap {
					continue
				}
				if left := max(gap-2*d, 2*d-gap); left < best {
					give, take, best = i, j, left
				}
			}
		}
		if give < 0 {
			return
		}
		d := tokens[give] - tokens[take]
		owner[give], owner[take] = empty, full
		load[full], load[empty] = load[full]-d, load[empty]+d
	}
}

// computes reports whether this rank computes micro-batch i.
func (s *sharing) computes(i int) bool { return s == nil || s.owner[i] == s.rank() }

// separates reports whether the gradient of a micro-batch is computed on its own, and not added in place.
func (s *sharing) separates() bool { return s != nil && s.ordered }

func (s *sharing) rank() int {
	if s.group == nil {
		return 0
	}
	return s.group.Rank()
}

func (s *sharing) size() int {
	if s.group == nil {
		return 1
	}
	return s.group.Size()
}

// read appends the gradient and the loss that the device has now to what this rank has computed.
func (s *sharing) read(st *Stepper) {
	g := st.Opt.Gradient()
	n := g.Shape.Len()
	at := len(s.own)
	s.own = slices.Grow(s.own, n+1)[:at+n+1]
	st.Dev.Download(s.own[at:at+n], g)
	st.Dev.Download(s.own[at+n:], st.loss)
}

// passed is called after the backward pass of a micro-batch that this rank computes.
func (s *sharing) passed(st *Stepper) {
	if !s.separates() {
		return
	}
	s.read(st)
	if s.group == nil { // the next one to be computed is the next one to be added
		add(s.sum, s.own)
		s.own = s.own[:0]
	}
}

// add adds part to the beginning of sum.
func add(sum, part []float32) {
	sum = sum[:len(part)]
	for i, v := range part {
		sum[i] += v
	}
}

// finish gives the device the sums of all micro-batches. It waits for the other ranks.
func (s *sharing) finish(st *Stepper) error {
	if s == nil {
		return nil
	}
	n := st.Opt.Gradient().Shape.Len()
	switch {
	case s.group == nil:
	case s.ordered:
		if err := s.gather(n + 1); err != nil {
			return err
		}
		if err := s.group.Broadcast(group.Bytes(s.sum)); err != nil {
			return err
		}
	default:
		if slices.Contains(s.owner, s.rank()) {
			s.read(st)
			copy(s.sum, s.own)
		}
		s.sum[n+1] = s.asked()
		if err := s.group.AllReduce(s.sum); err != nil {
			return err
		}
	}
	st.Dev.Upload(st.Opt.Gradient(), s.sum[:n])
	st.Dev.Upload(st.loss, s.sum[n:n+1])
	s.stopped = s.sum[n+1] > 0
	return nil
}

// asked returns 1 if this rank was asked to stop, and otherwise 0.
func (s *sharing) asked() float32 {
	if s.stop != nil && s.stop() {
		return 1
	}
	return 0
}

// gather adds the gradients of all micro-batches, of n values each with the loss, at rank 0. What a rank sends ends
// with the result of asked.
func (s *sharing) gather(n int) error {
	s.own = append(s.own, s.asked())
	var buffers [][]byte
	if s.rank() == 0 {
		for rank := range s.size() {
			if rank == len(s.parts) {
				s.parts = append(s.parts, nil)
			}
			length := count(s.owner, rank)*n + 1
			s.parts[rank] = slices.Grow(s.parts[rank][:0], length)[:length]
			buffers = append(buffers, group.Bytes(s.parts[rank]))
		}
	}
	if err := s.group.Gather(group.Bytes(s.own), buffers); err != nil || s.rank() > 0 {
		return err
	}
	next := make([]int, s.size()) // where the next micro-batch of each rank begins
	for _, rank := range s.owner {
		add(s.sum, s.parts[rank][next[rank]:][:n])
		next[rank] += n
	}
	for rank, at := range next {
		s.sum[n] += s.parts[rank][at]
	}
	return nil
}

// count returns how many elements of owner are rank.
func count(owner []int, rank int) (n int) {
	for _, o := range owner {
		if o == rank {
			n++
		}
	}
	return n
}

// results returns the results of an evaluation of some batches, which the ranks have divided among them.
func (s *sharing) results(st *Stepper, batches []model.Batch) ([][]float32, error) {
	lengths, total := make([]int, len(batches)), 0
	for i, b := range batches {
		lengths[i] = st.Objective.size(b)
		total += lengths[i]
	}
	owner := deal(tokensOf(batches), s.size())
	var own []float32
	for i, b := range batches {
		if owner[i] != s.rank() {
			continue
		}
		if st.Evaluating != nil {
			st.Evaluating(i, len(batches))
		}
		values, err := st.Results(b)
		if err != nil {
			return nil, err
		}
		own = append(own, values...)
	}
	var buffers [][]byte
	parts := make([][]float32, s.size())
	if s.rank() == 0 {
		for i, rank := range owner {
			parts[rank] = append(parts[rank], make([]float32, lengths[i])...)
		}
		for _, p := range parts {
			buffers = append(buffers, group.Bytes(p))
		}
	}
	if err := s.group.Gather(group.Bytes(own), buffers); err != nil {
		return nil, err
	}
	flat := make([]float32, total)
	values, at := make([][]float32, len(batches)), 0
	for i, rank := range owner {
		values[i] = flat[at:][:lengths[i]]
		at += lengths[i]
		if s.rank() == 0 {
			copy(values[i], parts[rank])
			parts[rank] = parts[rank][lengths[i]:]
		}
	}
	return values, s.group.Broadcast(group.Bytes(flat))
}

// newSharing returns how a run adds the gradients of micro-batches, on a device with this group. The device of a single
// process that is not the CPU adds in place, so that a step does not wait for the host.
func newSharing(dev compute.Device, g group.Group, t config.Train, stop func() bool) *sharing {
	if g == nil && !dev.Stats().Host {
		return nil
	}
	return &sharing{group: g, ordered: t.Reduce == config.ReduceOrdered, stop: stop}
}
