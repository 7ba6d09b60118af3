//go:build cuda && cgo && linux && amd64

package gpu

import (
	"bytes"
	"hash/maphash"

	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// queue contains the launches that were requested since the last submission.
//
// Ops only append to it; nothing reaches the driver before submit. Values that
// differ between two steps over batches of one shape class, such as token
// counts, the learning rate and the position of a dropout mask, are not in the
// arguments of a kernel but in slots that the arguments point to. So the lists
// of the two steps are equal byte for byte. When a list occurs for the second
// time it is captured as a graph, and from then on a step costs one upload of
// its slots and one launch.
type queue struct {
	launches []driver.Record
	names    []string // names of the launched kernels
	args     []byte   // the argument structs, concatenated
	slots    []uint32
	key      []byte // all bytes of the list; written by submitList

	serial int        // changes whenever a launch is appended or the list is submitted
	table  driver.Ptr // address of the slots on the card
	seed   maphash.Seed
	graphs map[uint64]*graph
	clock  int   // number of submissions
	bytes  int64 // memory of all captured graphs on the card
}

// maxSlots is the largest number of slots of one list. A step of a deep model uses a few thousand.
const maxSlots = 1 << 16

// submit submits the queue between two ops.
func (d *Device) submit() {
	d.flush()
	d.queue.slots = d.queue.slots[:0]
}

// flush submits the queue within an op. It keeps the slots, because the next launch of the op may point to them.
func (d *Device) flush() {
	q := &d.queue
	if len(q.launches) > 0 && d.err == nil {
		d.fail(d.run(d.submitList))
	}
	q.launches, q.names, q.args = q.launches[:0], q.names[:0], q.args[:0]
	q.serial++
}

// isLast reports whether the launch after which the queue had the given serial is still the last one and has not been
// submitted. Only then can it be undone.
func (q *queue) isLast(serial int) bool { return serial == q.serial && len(q.launches) > 0 }

// undoLaunch removes the last launch from the queue. Its slots are kept.
func (q *queue) undoLaunch() {
	last := len(q.launches) - 1
	q.args = q.args[:q.launches[last].Offset]
	q.launches, q.names = q.launches[:last], q.names[:last]
}

// submitList gives the list to the driver. It runs on the device's thread.
func (d *Device) submitList() error {
	q := &d.queue
	for i := range q.launches {
		var err error
		l := &q.launches[i]
		if l.Function, err = d.kernel(q.names[i], int(l.Size), int(l.Block[0]), int(l.Shared)); err != nil {
			return err
		}
	}
	if len(q.slots) > 0 {
		if err := d.staging.upload(d, q.table, raw(q.slots)); err != nil {
			return err
		}
	}
	if d.eager || d.noGraphs {
		return d.launchList()
	}
	q.clock++
	q.key = q.appendKey(q.key[:0])
	sum := maphash.Bytes(q.seed, q.key)
	g := q.graphs[sum]
	switch {
	case g == nil || !bytes.Equal(g.key, q.key):
		// A list is not captured the first time, because many lists occur only once.
		if err := q.makeRoom(sum); err != nil {
			return d.explain("forget a step", err)
		}
		q.graphs[sum] = &graph{key: bytes.Clone(q.key), used: q.clock}
		return d.launchList()
	case !g.captured:
		if err := d.capture(g); err != nil {
			return err
		}
		if !g.captured {
			return d.launchList()
		}
	}
	g.used = q.clock
	return d.explain("launch a step", g.exec.Launch(d.stream))
}

// launchList launches the kernels of the list. In eager mode the list has one launch, and launchList waits for it.
func (d *Device) launchList() error {
	q := &d.queue
	if at, err := driver.Launch(q.launches, q.args, d.stream); err != nil {
		return d.explain("launch "+q.names[at], err)
	}
	if !d.eager {
		return nil
	}
	return d.explain(q.names[len(q.names)-1], d.stream.Synchronize())
}
