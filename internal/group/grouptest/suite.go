package grouptest

import (
	"bytes"
	"fmt"

	"github.com/lor2c/lor2c/internal/group"
)

// Check calls every method of a group whose other ranks call Check too, and returns an error for a wrong result.
// Lengths cover messages that engines send at once, and those for which they wait for the receiver.
func Check(g group.Group) error {
	rank, size := g.Rank(), g.Size()
	for _, n := range []int{0, 1, 1000, 1 << 20} {
		g.Mark(n)
		if err := checkSum(g, n); err != nil {
			return fmt.Errorf("%d values: %w", n, err)
		}
		sent := pattern(0, n)
		got := bytes.Clone(sent)
		if rank > 0 {
			clear(got)
		}
		if err := g.Broadcast(got); err != nil {
			return err
		}
		if !bytes.Equal(got, sent) {
			return fmt.Errorf("rank %d of %d: Broadcast of %d bytes changed them", rank, size, n)
		}
		var parts [][]byte
		if rank == 0 {
			for i := range size {
				parts = append(parts, make([]byte, n+i))
			}
		}
		if err := g.Gather(pattern(rank, n+rank), parts); err != nil {
			return err
		}
		for i, part := range parts {
			if !bytes.Equal(part, pattern(i, n+i)) {
				return fmt.Errorf("Gather of %d bytes changed those of rank %d", n+i, i)
			}
		}
		if err := g.Barrier(); err != nil {
			return err
		}
	}
	return nil
}

// checkSum checks AllReduce with integers, whose sum is exact in any order.
func checkSum(g group.Group, n int) error {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32((g.Rank() + 1) * (i % 1000))
	}
	if err := g.AllReduce(values); err != nil {
		return err
	}
	for i, v := range values {
		if want := float32(g.Size() * (g.Size() + 1) / 2 * (i % 1000)); v != want {
			return fmt.Errorf("rank %d of %d: AllReduce: sum %d is %g; want %g", g.Rank(), g.Size(), i, v, want)
		}
	}
	return nil
}

// pattern returns n bytes that differ by rank.
func pattern(rank, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8 + rank + 1)
	}
	return p
}
