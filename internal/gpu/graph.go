//go:build cuda && cgo && linux && amd64

package gpu

import (
	"encoding/binary"

	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// graph is a list that was submitted before.
type graph struct {
	key      []byte // the whole list, because two lists may have the same hash
	exec     driver.Graph
	captured bool
	bytes    int64 // memory on the card
	used     int   // clock at its last submission
}

// maxGraphs is the largest number of lists that are kept. A run needs one for each shape class of its batches and kind
// of step.
const maxGraphs = 64

// maxGraphBytes is the memory on the card that captured graphs may take together. The plan of a run leaves it free. A
// test sets it lower.
var maxGraphBytes int64 = 256 << 20

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
