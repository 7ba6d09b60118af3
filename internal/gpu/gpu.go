//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"runtime"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// Built reports whether this binary has the CUDA device.
const Built = true

// Device implements compute.Device. Its methods must be called from one goroutine at a time. A separate thread makes
// all calls of the driver.
type Device struct {
	card        *driver.Context
	about       driver.Properties
	index       int
	modules     []driver.Module
	code        string // target of the modules
	stream      driver.Stream
	narrow      bool
	err         error
	mem         memory
	queue       queue
	staging     staging
	lastNorm    fusableNorm
	lastProduct fusableProduct
	lastTiled   joinable
	partial     *buffer
	found       map[string]kernel
	refused     map[string]bool // kernels that failed the self-check
	// plainAttention makes attention use the kernels for any head size.
	plainAttention bool
	plans          map[productShape]matmulPlan
	// eager submits each launch at once and waits for it, so that a fault names its kernel (LOR2C_SYNC=1). noGraphs
	// launches kernels individually, without graphs (LOR2C_GRAPHS=0).
	eager, noGraphs bool

	calls chan func() error
	done  chan error
}

var _ compute.Device = (*Device)(nil)

// Open returns a device that uses the card of o. The error wraps ErrNoDevice if that card cannot be used.
func Open(o Options) (compute.Device, error) {
	d := &Device{
		narrow: o.Narrow, eager: os.Getenv("LOR2C_SYNC") == "1", noGraphs: os.Getenv("LOR2C_GRAPHS") == "0",
		found: map[string]kernel{}, refused: map[string]bool{}, plans: map[productShape]matmulPlan{},
		mem:   memory{live: map[ptr]bool{}},
		calls: make(chan func() error), done: make(chan error),
	}
	d.queue.seed, d.queue.graphs = maphash.MakeSeed(), map[uint64]*graph{}
	go d.serve()
	if err := d.run(func() error { return d.open(o.Index) }); err != nil {
		_ = d.run(d.close)
		close(d.calls)
		return nil, err
	}
	d.queue.table = driver.Ptr(d.allocate(4*maxSlots, "the slots of a step").base)
	d.partial = d.allocate(scratchBytes, "scratch memory")
	d.mem.scratch = 4*maxSlots + scratchBytes
	d.fail(d.run(func() error { return d.staging.open(d) }))
	if d.err == nil {
		// The error of the self-check names the kernel. The failure of the device that it caused does not.
		if err := d.verify(); err != nil {
			d.err = err
		}
	}
	if err := d.err; err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// serve makes all calls of the driver, because a context belongs to an OS thread.
func (d *Device) serve() {
	runtime.LockOSThread() // never unlocked, so that the thread ends with the context
	for f := range d.calls {
		d.done <- f()
	}
}

// run executes f on the device's thread, waits for it and returns its error.
func (d *Device) run(f func() error) error {
	d.calls <- f
	return <-d.done
}

func (d *Device) open(index int) (err error) {
	refuse := func(err error) error { return fmt.Errorf("gpu: open cuda:%d: %w: %w", index, err, ErrNoDevice) }
	if why := status(); why != "" {
		return refuse(errors.New(why))
	}
	n, err := driver.Devices()
	if err != nil {
		return refuse(err)
	}
	if index >= n {
		return refuse(fmt.Errorf("the number of visible cards is %d; want a smaller index", n))
	}
	if d.about, err = driver.Describe(index); err != nil {
		return refuse(err)
	}
	d.index = index
	if d.card, err = driver.Open(index); err != nil {
		return refuse(err)
	}
	if err := d.load(d.codes()); err != nil {
		return refuse(
			fmt.Errorf("load the kernels on %s, compute capability %d.%d: %w", d.about.Name, d.about.Major, d.about.Minor, err),
		)
	}
	d.stream, err = driver.NewStream()
	return d.explain("open a stream", err)
}

// scratch returns the address of memory for the partial sums of one op.
func (d *Device) scratch(bytes int64) ptr {
	if bytes > scratchBytes {
		d.fail(fmt.Errorf("gpu: scratch memory: %d bytes needed, %d available; this is a bug in lor2c", bytes,
			int64(scratchBytes)))
	}
	return d.partial.base
}

// Name returns the name of the card and the precision.
func (d *Device) Name() string {
	precision := "float32"
	if d.narrow {
		precision = "bfloat16"
	}
	return fmt.Sprintf("cuda:%d %s, %s", d.index, d.about.Name, precision)
}

// Err submits the queue and returns the first failure known so far.
func (d *Device) Err() error {
	d.submit()
	return d.err
}

// Sync submits the queue, waits for the card and returns the first failure.
func (d *Device) Sync() error {
	d.mem.syncs++
	d.wait()
	return d.err
}

// wait submits the queue and waits for the card.
func (d *Device) wait() {
	d.submit()
	if d.err == nil {
		d.fail(d.run(func() error { return d.explain("run a step", d.stream.Synchronize()) }))
	}
}

var errClosed = errors.New("gpu: device is closed")

// Close waits for the card, frees everything and returns the first failure.
func (d *Device) Close() error {
	if d.err == errClosed {
		return nil
	}
	d.wait()
	err := d.err
	closing := d.run(d.close)
	close(d.calls)
	d.err = errClosed
	if err == nil && closing != nil {
		err = d.explain("close", closing)
	}
	return err
}

// fail keeps err if it is the first failure.
func (d *Device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// close frees everything that would outlive the context. The driver frees the rest with the context, when its last
// device is closed.
func (d *Device) close() error {
	if d.card == nil {
		return nil
	}
	errs := []error{d.staging.close()}
	for _, g := range d.queue.graphs {
		if g.captured {
			errs = append(errs, g.exec.Destroy())
		}
	}
	for p := range d.mem.live {
		errs = append(errs, driver.Free(driver.Ptr(p)))
	}
	for _, m := range d.modules {
		errs = append(errs, m.Unload())
	}
	return errors.Join(append(errs, d.stream.Destroy(), d.card.Close())...)
}

// explain adds to an error of the driver what was attempted. It returns nil if err is nil.
func (d *Device) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	var fault *driver.Error
	if errors.As(err, &fault) && fault.Sticky() && !d.eager {
		hint = "; LOR2C_SYNC=1 finds the kernel"
	}
	return fmt.Errorf("gpu: %s: %w%s", what, err, hint)
}
