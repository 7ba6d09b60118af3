//go:build cuda && cgo && linux && amd64

package driver

import "gorgonia.org/cu"

// Context is the primary context of a device.
type Context struct {
	device cu.Device
	c      cu.CUContext
}

// Open retains the primary context of device i and makes it current on the calling OS thread. i is less than Devices.
func Open(i int) (*Context, error) {
	Status()
	d, err := cu.GetDevice(i)
	if err != nil {
		return nil, failure("cuDeviceGet", err)
	}
	c, err := d.RetainPrimaryCtx()
	if err != nil {
		return nil, failure("cuDevicePrimaryCtxRetain", err)
	}
	ctx := &Context{d, c}
	if err := ctx.Use(); err != nil {
		_ = ctx.Close()
		return nil, err
	}
	return ctx, nil
}

// Use makes the context current on the calling OS thread.
func (c *Context) Use() error { return failure("cuCtxSetCurrent", cu.SetCurrentContext(c.c)) }

// Memory returns the free and the total memory of the device, in bytes.
func (c *Context) Memory() (free, total int64, err error) {
	free, total, err = cu.MemInfo()
	return free, total, failure("cuMemGetInfo", err)
}

// Synchronize waits for all work of the context.
func (c *Context) Synchronize() error { return failure("cuCtxSynchronize", cu.Synchronize()) }

// Close releases the context. When its last owner closes it, the driver frees everything that was created in it.
func (c *Context) Close() error {
	return failure("cuDevicePrimaryCtxRelease", c.device.ReleasePrimaryCtx())
}
