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
	names    []string // names of the launched kernels, for errors
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

// graph is a list that was submitted before.
type graph struct {
	key      []byte // the whole list, because two lists may have the same hash
	exec     driver.Graph
	captured bool
	bytes    int64 // memory on the card
	used     int   // clock at its last submission
}

const (
	// maxSlots is the largest number of slots of one list. A step of a deep model uses a few thousand.
	maxSlots = 1 << 16
	// maxGraphs is the largest number of lists that are kept. A run needs one for each shape class of its batches and
	// kind of step.
	maxGraphs = 64
)

// maxGraphBytes is the memory on the card that captured graphs may take together. The plan of a run leaves it free. A
// test sets it lower.
var maxGraphBytes int64 = 256 << 20

// grid has the numbers of blocks of a launch.
type grid struct{ x, y, z int }

// ceil returns a over b, rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// class returns n rounded up to its size class, by the rule of the arena. Grids and numbers of partial sums are
// computed from it, so that batches of nearly equal size have equal lists.
func class(n int) int { return int(compute.Class(int64(n)*compute.Align) / compute.Align) }

// launch queues the kernel of the given name. args is the Go twin of the kernel's argument struct: it has the same
// fields in the same order, without padding.
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
		// The next slots begin at 0 again. They do not reach those of the current op, to which its next launch may
		// still point.
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

// maxCount is so small that the last index of a grid is an int32 even after
// rounding up to a class.
const maxCount = 2_000_000_000

// size returns a number of elements as an argument of a kernel. The device fails if it is above maxCount.
func (d *Device) size(n int) int32 {
	if n > maxCount {
		d.fail(fmt.Errorf("gpu: %d elements in one op; the kernels can count up to %d", n, maxCount))
	}
	return int32(n)
}

// count returns the address of a slot with a size that may differ in the next replay.
func (d *Device) count(n int) ptr { return d.slot(uint32(d.size(n))) }

// counts returns the address of consecutive slots with int32 values.
func (d *Device) counts(n ...int) ptr {
	words := make([]uint32, len(n))
	for i, v := range n {
		words[i] = uint32(int32(v))
	}
	return d.slot(words...)
}

// scalar returns the address of a slot with a float32 that may differ in the next replay.
func (d *Device) scalar(v float32) ptr { return d.slot(math.Float32bits(v)) }

// address returns the address of slots with an address that may differ in the next replay.
func (d *Device) address(p ptr) ptr {
	if len(d.queue.slots)%2 == 1 {
		d.slot(0)
	}
	return d.slot(uint32(p), uint32(p>>32))
}

// dropoutArgs is the Go twin of struct Dropout.
type dropoutArgs struct {
	at         ptr // address of the slots with the step and the first row
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

// capture captures the list as a graph and forgets other graphs if all together take more than maxGraphBytes. If the
// card has too little memory for the graph, g remains without one and no further list is captured: a step without a
// graph is slower, but needs no memory for it.
func (d *Device) capture(g *graph) error {
	q := &d.queue
	before, _, err := d.card.Memory()
	if err != nil {
		return d.explain("ask for free memory", err)
	}
	g.exec, err = d.stream.Capture(d.launchList)
	if answers(err, driver.OutOfMemory) {
		d.noGraphs = true
		return nil
	}
	if err != nil {
		return d.explain("capture a step", err)
	}
	g.captured = true
	after, _, err := d.card.Memory()
	if err != nil {
		return d.explain("ask for free memory", err)
	}
	// Other programs use the card too, so the difference can be negative.
	g.bytes = max(0, before-after)
	q.bytes += g.bytes
	for q.bytes > maxGraphBytes {
		sum, ok := q.oldest(g)
		if !ok {
			break
		}
		if err := q.forget(sum); err != nil {
			return d.explain("forget a step", err)
		}
	}
	return nil
}

// appendKey appends all bytes in which two lists can differ.
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

// makeRoom makes room for one more list, and forgets a list with the same hash if there is one.
func (q *queue) makeRoom(sum uint64) error {
	if q.graphs[sum] == nil && len(q.graphs) >= maxGraphs {
		sum, _ = q.oldest(nil)
	}
	return q.forget(sum)
}

// oldest returns the hash of the list that has not been submitted for the longest time. If except is not nil it returns
// the hash of another list that is captured, and false if there is none.
func (q *queue) oldest(except *graph) (sum uint64, ok bool) {
	for s, g := range q.graphs {
		if except != nil && (g == except || !g.captured) {
			continue
		}
		if !ok || g.used < q.graphs[sum].used {
			sum, ok = s, true
		}
	}
	return sum, ok
}

// forget destroys the graph of a list and removes the list.
func (q *queue) forget(sum uint64) (err error) {
	if g := q.graphs[sum]; g != nil {
		if g.captured {
			err = g.exec.Destroy()
			q.bytes -= g.bytes
		}
		delete(q.graphs, sum)
	}
	return err
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
