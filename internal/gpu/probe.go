//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"runtime"

	"lor2c/internal/gpu/driver"
	"lor2c/kernels"
)

// status says why no card can be used, "" where the driver is ready.
func status() string {
	switch code, why := driver.Status(); code {
	case 0:
		return ""
	case driver.NoLibrary:
		return "no driver: " + why
	case driver.NoDevice:
		return "a driver, but no card"
	default:
		return fmt.Sprintf("the driver does not start: %s", why)
	}
}

// Probe looks for a driver and cards. It opens none of them but to ask how much
// memory is free.
func Probe() Report {
	r := Report{Driver: status(), Targets: kernels.Targets(), Missing: driver.Missing()}
	if r.Driver != "" {
		return r
	}
	v := driver.Version()
	r.Driver = fmt.Sprintf("CUDA %d.%d", v/1000, v%1000/10)
	n, err := driver.Devices()
	if err != nil {
		r.Driver = err.Error()
	}
	for i := range n {
		c := describe(i)
		r.Usable = r.Usable || c.Usable
		r.Cards = append(r.Cards, c)
	}
	return r
}

func describe(i int) Card {
	p, err := driver.Describe(i)
	if err != nil {
		return Card{Code: err.Error()}
	}
	c := Card{
		Name: p.Name, UUID: p.UUID, Capability: fmt.Sprintf("%d.%d", p.Major, p.Minor), Multiprocessors: p.SMs, AllBytes: p.TotalMemory,
	}
	c.Code, c.Usable = kernels.For(p.Major, p.Minor)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the context ends with the thread
		done <- c.memory(i)
	}()
	if err := <-done; err != nil {
		c.Code, c.Usable = err.Error(), false
	}
	return c
}

// memory asks the card what it has free.
func (c *Card) memory(i int) error {
	ctx, err := driver.Open(i)
	if err != nil {
		return err
	}
	defer ctx.Close()
	c.FreeBytes, c.AllBytes, err = ctx.Memory()
	return err
}
