//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"math"
	"unsafe"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/driver"
)

// staging is pinned host memory for copies. The card reads and writes it while the host continues, so a block is
// reused only after the last copy that used it is complete.
type staging struct {
	blocks [stagingBlocks]stagingBlock
	next   int
}

type stagingBlock struct {
	mem    driver.Pinned
	copied driver.Event
	busy   bool
}

const (
	// stagingBlocks is the number of blocks. The host can be that many uploads ahead of the card.
	stagingBlocks = 8
	// stagingBytes is the size of a block. The batch of a step fits in one; weights are copied in parts.
	stagingBytes = 4 << 20
)

// open allocates the blocks. Like all methods of staging it runs on the device's thread.
func (s *staging) open(d *Device) error {
	for i := range s.blocks {
		var err error
		b := &s.blocks[i]
		if b.mem, err = driver.AllocPinned(stagingBytes); err != nil {
			return d.explain("allocate pinned memory", err)
		}
		if b.copied, err = driver.NewEvent(false); err != nil {
			return d.explain("create an event", err)
		}
	}
	return nil
}

// close frees the blocks. No copy may be in progress.
func (s *staging) close() (err error) {
	for _, b := range s.blocks {
		if b.mem != (driver.Pinned{}) {
			err = errors.Join(err, b.mem.Free(), b.copied.Destroy())
		}
	}
	return err
}

// block returns a block that no copy uses.
func (s *staging) block(d *Device) (*stagingBlock, error) {
	b := &s.blocks[s.next]
	s.next = (s.next + 1) % stagingBlocks
	if !b.busy {
		return b, nil
	}
	b.busy = false
	return b, d.explain("wait for an upload", b.copied.Synchronize())
}

// upload queues a copy of raw to dst. The caller may change raw as soon as upload returns.
func (s *staging) upload(d *Device, dst driver.Ptr, raw []byte) error {
	for len(raw) > 0 {
		b, err := s.block(d)
		if err != nil {
			return err
		}
		n := copy(b.mem.Bytes(), raw)
		if err := driver.Upload(dst, b.mem, 0, int64(n), d.stream); err != nil {
			return d.explain("upload", err)
		}
		if err := b.copied.Record(d.stream); err != nil {
			return d.explain("upload", err)
		}
		b.busy = true
		raw, dst = raw[n:], dst+driver.Ptr(n)
	}
	return nil
}

// download waits for the card and copies src to raw.
func (s *staging) download(d *Device, raw []byte, src driver.Ptr) error {
	for len(raw) > 0 {
		b, err := s.block(d)
		if err != nil {
			return err
		}
		n := min(len(raw), stagingBytes)
		if err := driver.Download(b.mem, 0, src, int64(n), d.stream); err != nil {
			return d.explain("download", err)
		}
		if err := d.stream.Synchronize(); err != nil {
			return d.explain("run a step", err)
		}
		copy(raw[:n], b.mem.Bytes())
		raw, src = raw[n:], src+driver.Ptr(n)
	}
	return nil
}

// Upload copies to a Working or Exact tensor.
func (d *Device) Upload(dst compute.Tensor, src []float32) {
	src = src[:dst.Shape.Len()]
	if d.Bytes(dst.DType) == 2 {
		narrow := make([]uint16, len(src))
		for i, v := range src {
			narrow[i] = toBfloat16(v)
		}
		upload(d, dst, narrow)
		return
	}
	upload(d, dst, src)
}

// UploadInts copies to an Int tensor.
func (d *Device) UploadInts(dst compute.Tensor, src []int32) { upload(d, dst, src[:dst.Shape.Len()]) }

// ReadsNF4 returns false: products read a copy in the step arena.
func (d *Device) ReadsNF4() bool { return false }

// UploadNF4 copies codes and scales to an NF4 tensor. The scales follow the codes at a multiple of 4 bytes.
func (d *Device) UploadNF4(dst compute.Tensor, codes []byte, scales []float32) {
	packed := make([]byte, compute.NF4Bytes(int64(dst.Shape.Len())))
	copy(packed, codes)
	copy(packed[nf4Scales(dst.Shape.Len()):], raw(scales))
	upload(d, dst, packed)
}

// nf4Scales returns the byte at which the scales of an NF4 tensor of n elements begin.
func nf4Scales(n int) int { return (n + 7) / 8 * 4 }

// upload submits the queue before it copies, because queued ops may use dst.
func upload[T any](d *Device, dst compute.Tensor, src []T) {
	d.submit()
	if d.err == nil {
		d.fail(d.run(func() error { return d.staging.upload(d, driver.Ptr(d.at(dst)), raw(src)) }))
	}
}

// Download waits for the card and copies a Working or Exact tensor.
func (d *Device) Download(dst []float32, src compute.Tensor) {
	d.mem.syncs++
	d.submit()
	if d.err != nil {
		return
	}
	dst = dst[:src.Shape.Len()]
	if d.Bytes(src.DType) == 4 {
		d.fail(d.run(func() error { return d.staging.download(d, raw(dst), driver.Ptr(d.at(src))) }))
		return
	}
	narrow := make([]uint16, len(dst))
	d.fail(d.run(func() error { return d.staging.download(d, raw(narrow), driver.Ptr(d.at(src))) }))
	for i, v := range narrow {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}

// raw returns the bytes of x without copying them.
func raw[T any](x []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(t)))
}

// toBfloat16 rounds to nearest, with ties to even. NaN remains NaN.
func toBfloat16(x float32) uint16 {
	u := math.Float32bits(x)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}
