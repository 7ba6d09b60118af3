//go:build cuda && cgo && linux && amd64

package gpu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// queue holds the launches that have been asked for since the last submission.
//
// Ops only append to it; nothing reaches the driver before submit. What differs
// between two steps over batches of one shape class (token counts, learning
// rate, the place of a dropout mask) is not in the arguments of a kernel but in
// slots that they point to, so that the lists of the two steps are equal byte
// for byte. A list that comes a second time is captured as a graph, and from
// then on a step costs one upload of its slots and one launch.
type queue struct {
	launches []driver.Record
	names    []string // of the launches, for errors
	args     []byte   // the argument structs, one behind the other
	slots    []uint32
	key      []byte // of the list, made in submit

	serial int        // changes whenever a launch is appended or the list is handed over
	table  driver.Ptr // where kernels find the slots
	seed   maphash.Seed
	graphs map[uint64]*graph
	clock  int // counts submissions
}

// graph is a list that came before.
type graph struct {
	key      []byte // the whole list: a hash alone could be another's
	exec     driver.Graph
	captured bool
	used     int // clock of its last submission
}

const (
	// maxSlots bounds the slots of one list: a step of a deep model uses a few
	// thousand.
	maxSlots = 1 << 16
	// maxGraphs bounds the captured lists: shape classes of a run's batches
	// times a few kinds of step.
	maxGraphs = 64
)

// grid counts the blocks of a launch.
type grid struct{ x, y, z int }

// ceil returns a over b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// class returns n rounded up to its size class, by the rule of the arena: what
// grids and numbers of partial sums are computed from, so that batches of
// nearly equal size have equal lists.
func class(n int) int { return int(compute.Class(int64(n)*compute.Align) / compute.Align) }

// launch queues a kernel of the given name. args is the Go twin of its argument
// struct: fields in the same order, without padding.
func launch[A any](d *Device, name string, g grid, block, shared int, args A) {
	if d.err != nil {
		return
	}
	g.y, g.z = max(g.y, 1), max(g.z, 1)
	if g.x <= 0 {
		return
	}
	k, err := d.kernel(name, unsafe.Sizeof(args), block, shared)
	if err != nil {
		d.fail(err)
		return
	}
	q := &d.queue
	at := len(q.args)
	q.args = append(q.args, unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))...)
	q.launches = append(q.launches, driver.Record{
		Function: k, Grid: [3]uint32{uint32(g.x), uint32(g.y), uint32(g.z)}, Block: [3]uint32{uint32(block), 1, 1},
		Shared: uint32(shared), Offset: uint32(at), Size: uint32(len(q.args) - at),
	})
	q.names = append(q.names, name)
	q.serial++
	switch {
	case len(q.slots) > maxSlots/2:
		// The slots of an op under way are out of reach of those that follow.
		d.submit()
	case d.eager:
		d.flush()
	}
}

// slot returns the address of consecutive slots with the given contents.
func (d *Device) slot(words ...uint32) ptr {
	q := &d.queue
	at := len(q.slots)
	q.slots = append(q.slots, words...)
	return ptr(q.table) + ptr(4*at)
}

// maxCount leaves room for rounding up to a class, so that the last index of a
// grid is an int32.
const maxCount = 2_000_000_000

// count returns a slot with an int32 that the next replay may change.
func (d *Device) count(n int) ptr {
	if n > maxCount {
		d.fail(fmt.Errorf("gpu: %d elements at once; the kernels count up to %d", n, maxCount))
	}
	return d.slot(uint32(int32(n)))
}

// counts returns consecutive slots.
func (d *Device) counts(n ...int) ptr {
	words := make([]uint32, len(n))
	for i, v := range n {
		words[i] = uint32(int32(v))
	}
	return d.slot(words...)
}

// scalar returns a slot with a float32 that the next replay may change.
func (d *Device) scalar(v float32) ptr { return d.slot(math.Float32bits(v)) }

// address returns a slot with an address that the next replay may change.
func (d *Device) address(p ptr) ptr {
	if len(d.queue.slots)%2 == 1 {
		d.slot(0)
	}
	return d.slot(uint32(p), uint32(p>>32))
}

// dropoutArgs is the Go twin of struct Dropout.
type dropoutArgs struct {
	at         ptr // of step and first row
	threshold  uint32
	scale      float32
	key0, key1 uint32
	site       uint32
	_          uint32
}

func (d *Device) dropout(p compute.Dropout) dropoutArgs {
	return dropoutArgs{
		at: d.slot(p.Step, p.Row), threshold: p.Threshold(), scale: float32(p.Scale()),
		key0: uint32(p.Key), key1: uint32(p.Key >> 32), site: p.Site,
	}
}

// submit hands the queued list to the card, between two ops.
func (d *Device) submit() {
	d.flush()
	d.queue.slots = d.queue.slots[:0]
}

// flush does so within one: slots that its next launch may point to stay.
func (d *Device) flush() {
	q := &d.queue
	if len(q.launches) > 0 && d.err == nil {
		d.fail(d.run(d.submitList))
	}
	q.launches, q.names, q.args = q.launches[:0], q.names[:0], q.args[:0]
	q.serial++
}

// last reports whether the launch after which the queue had that serial is still
// the last one, and not handed over: then it can be taken back.
func (q *queue) last(serial int) bool { return serial == q.serial && len(q.launches) > 0 }

// retract takes back the launch that was appended last. Its slots stay.
func (q *queue) retract() {
	last := len(q.launches) - 1
	q.args = q.args[:q.launches[last].Offset]
	q.launches, q.names = q.launches[:last], q.names[:last]
}

// submitList runs on the device's thread.
func (d *Device) submitList() error {
	q := &d.queue
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
		// The first time it runs as it is: many lists come once only.
		if err := q.evict(sum); err != nil {
			return d.explain("forget a step", err)
		}
		q.graphs[sum] = &graph{key: bytes.Clone(q.key), used: q.clock}
		return d.launchList()
	case !g.captured:
		exec, err := d.stream.Capture(d.launchList)
		if err != nil {
			return d.explain("capture a step", err)
		}
		g.exec, g.captured = exec, true
	}
	g.used = q.clock
	return d.explain("launch a step", g.exec.Launch(d.stream))
}

// appendKey appends all that makes two lists equal.
func (q *queue) appendKey(key []byte) []byte {
	key = binary.LittleEndian.AppendUint64(key, uint64(len(q.launches)))
	for _, l := range q.launches {
		key = binary.LittleEndian.AppendUint64(key, uint64(l.Function))
		for _, v := range [...]uint32{l.Grid[0], l.Grid[1], l.Grid[2], l.Block[0], l.Shared, l.Size} {
			key = binary.LittleEndian.AppendUint32(key, v)
		}
	}
	return append(key, q.args...)
}

// evict makes room for one more graph, and forgets another list of equal hash.
func (q *queue) evict(sum uint64) (err error) {
	if len(q.graphs) >= maxGraphs && q.graphs[sum] == nil {
		first := true
		var oldest uint64
		for s, g := range q.graphs {
			if first || g.used < q.graphs[oldest].used {
				oldest, first = s, false
			}
		}
		sum = oldest
	}
	if g := q.graphs[sum]; g != nil {
		if g.captured {
			err = g.exec.Destroy()
		}
		delete(q.graphs, sum)
	}
	return err
}

// launchList launches one by one, waiting for each where faults are searched.
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
