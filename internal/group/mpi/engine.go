//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/lor2c/lor2c/internal/group"
)

// engine is this process in MPI_COMM_WORLD.
type engine struct {
	rank, size int
	hosts      []string // by rank
	pulse      *pulse

	mu      sync.Mutex // is held during every call of the library, which admits one thread at a time
	lib     *library
	pending []request // of the call in progress
	pinned  runtime.Pinner
}

// request is a handle of an operation that has begun: four bytes in MPICH's family, and an address in Open MPI.
type request uint64

// Messages between two ranks carry one of these tags.
const (
	tagPart  = 1
	tagPulse = 2
)

// most is the largest number of bytes of one operation, because counts are 32-bit integers.
const most = 1 << 30

// hostBytes is the length that names of hosts are cut to.
const hostBytes = 64

// Open enters MPI_COMM_WORLD. It returns an error if that has another size than o.Size, as it has when the library
// belongs to another family than the launcher.
func Open(o Options) (group.Group, error) {
	signals := readHandlers()
	lib, err := load()
	if err != nil {
		return nil, err
	}
	e := &engine{lib: lib}
	err = e.enter()
	signals.restore()
	if err != nil {
		return nil, fmt.Errorf("mpi: enter the group: %w", err)
	}
	if e.size != o.Size {
		defer lib.call(lib.finalize)
		return nil, fmt.Errorf("mpi: enter the group: %s sees %d ranks, and the launcher says that it has started %d; the "+
			"launcher must belong to this library, as its own mpirun does or srun with a matching --mpi, or name the "+
			"launcher's library in LOR2C_LIBMPI", lib.name, e.size, o.Size)
	}
	e.pulse = newPulse(e, cmp.Or(o.Silence, 30*time.Second))
	if err := e.exchangeHosts(); err != nil {
		return nil, err
	}
	go e.pulse.run()
	return e, nil
}

// enter initialises MPI and finds the place of this process.
func (e *engine) enter() error {
	l, provided := e.lib, new(int32)
	if err := l.call(l.initThread, 0, 0, serialized, uintptr(unsafe.Pointer(provided))); err != nil {
		return err
	}
	if *provided < serialized {
		return fmt.Errorf("%s admits calls from one thread only; want a library that admits them from several", l.name)
	}
	if err := l.call(l.commSetErrhandler, l.world, l.returnErrors); err != nil {
		return err
	}
	rank, size := new(int32), new(int32)
	if err := l.call(l.commRank, l.world, uintptr(unsafe.Pointer(rank))); err != nil {
		return err
	}
	if err := l.call(l.commSize, l.world, uintptr(unsafe.Pointer(size))); err != nil {
		return err
	}
	e.rank, e.size = int(*rank), int(*size)
	return nil
}

// exchangeHosts tells every rank the names of all hosts.
func (e *engine) exchangeHosts() error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	all, own := make([]byte, e.size*hostBytes), make([]byte, hostBytes)
	copy(own, host)
	var parts [][]byte
	for i := range e.size {
		if e.rank == 0 {
			parts = append(parts, all[i*hostBytes:][:hostBytes])
		}
		e.hosts = append(e.hosts, "an unknown host")
	}
	if err := e.Gather(own, parts); err != nil {
		return err
	}
	if err := e.Broadcast(all); err != nil {
		return err
	}
	for i := range e.hosts {
		e.hosts[i] = string(bytes.TrimRight(all[i*hostBytes:][:hostBytes], "\x00"))
	}
	return nil
}

func (e *engine) Rank() int     { return e.rank }
func (e *engine) Size() int     { return e.size }
func (e *engine) Mark(step int) { e.pulse.mark(step) }

// AllReduce adds the values of all ranks with MPI_Iallreduce.
func (e *engine) AllReduce(values []float32) error {
	l := e.lib
	for at := 0; at < len(values); at += most / 4 {
		part := group.Bytes(values[at:min(at+most/4, len(values))])
		err := e.begin(part, func(address, request uintptr) error {
			return l.call(l.iallreduce, l.inPlace, address, uintptr(len(part)/4), l.floats, l.sum, l.world, request)
		})
		if err := e.finish("add the values of all ranks", err); err != nil {
			return err
		}
	}
	return nil
}

// Broadcast sends the data of rank 0 with MPI_Ibcast.
func (e *engine) Broadcast(data []byte) error {
	l := e.lib
	for at := 0; at < len(data); at += most {
		part := data[at:min(at+most, len(data))]
		err := e.begin(part, func(address, request uintptr) error {
			return l.call(l.ibcast, address, uintptr(len(part)), l.bytes, 0, l.world, request)
		})
		if err := e.finish("receive from rank 0", err); err != nil {
			return err
		}
	}
	return nil
}

// Gather sends the parts to rank 0, each in messages of its own, because the parts are in memory of their own there.
func (e *engine) Gather(part []byte, parts [][]byte) (err error) {
	if e.rank > 0 {
		return e.finish("send to rank 0", e.transfer(e.lib.isend, part, 0))
	}
	for rank := 1; rank < e.size && err == nil; rank++ {
		err = e.transfer(e.lib.irecv, parts[rank], rank)
	}
	copy(parts[0], part)
	return e.finish("gather", err)
}

// transfer begins to send data to a rank, or to receive it from there.
func (e *engine) transfer(function uintptr, data []byte, rank int) error {
	l := e.lib
	for at := 0; at < len(data); at += most {
		part := data[at:min(at+most, len(data))]
		if err := e.begin(part, func(address, request uintptr) error {
			return l.call(function, address, uintptr(len(part)), l.bytes, uintptr(rank), tagPart, l.world, request)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Barrier waits for all ranks with MPI_Ibarrier.
func (e *engine) Barrier() error {
	l := e.lib
	return e.finish("wait for all ranks", e.begin(nil, func(_, request uintptr) error {
		return l.call(l.ibarrier, l.world, request)
	}))
}

// Abort ends all ranks with MPI_Abort. The launcher ends those that do not answer.
func (e *engine) Abort(code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.lib.call(e.lib.abort, e.lib.world, uintptr(code)) // does not return
}

// Close leaves MPI_COMM_WORLD after all ranks have called it.
func (e *engine) Close() error {
	if err := e.Barrier(); err != nil {
		return err
	}
	if err := e.pulse.stop(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.lib.call(e.lib.finalize); err != nil {
		return fmt.Errorf("mpi: leave the group: %w", err)
	}
	return nil
}

// begin begins an operation on data, which stays where it is until finish.
func (e *engine) begin(data []byte, f func(address, request uintptr) error) error {
	address := unsafe.SliceData(data)
	if address != nil {
		e.pinned.Pin(address)
	}
	handle := new(request)
	e.pinned.Pin(handle)
	e.mu.Lock()
	err := f(uintptr(unsafe.Pointer(address)), uintptr(unsafe.Pointer(handle)))
	e.mu.Unlock()
	e.pending = append(e.pending, *handle)
	return err
}

// finish waits for the operations that have begun, unless err says that one could not begin. Where an operation has
// failed the others may never end, so their memory is kept as long as the engine, whose later calls fail too.
func (e *engine) finish(attempted string, err error) error {
	for i := 0; i < len(e.pending) && err == nil; i++ {
		err = e.wait(&e.pending[i])
	}
	if err != nil {
		return fmt.Errorf("mpi: %s: %w", attempted, err)
	}
	e.pending = e.pending[:0]
	e.pinned.Unpin()
	return nil
}

// Between two questions whether an operation has ended a call sleeps this long, at first and at most.
const (
	firstPause = 10 * time.Microsecond
	lastPause  = 500 * time.Microsecond
)

// wait waits until an operation has ended, or a rank is silent.
func (e *engine) wait(r *request) error {
	for pause := firstPause; ; pause = min(pause*5/4, lastPause) {
		if done, err := e.done(r); done || err != nil {
			return err
		}
		if err := e.pulse.fault(); err != nil {
			return err
		}
		time.Sleep(pause)
	}
}

// done reports whether an operation has ended.
func (e *engine) done(r *request) (bool, error) {
	l, flag := e.lib, new(int32)
	e.mu.Lock()
	defer e.mu.Unlock()
	err := l.call(l.test, uintptr(unsafe.Pointer(r)), uintptr(unsafe.Pointer(flag)), l.statusIgnore)
	return *flag != 0, err
}
