//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
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

// Probe looks for a driver and cards and opens none of them, which would take
// longer than all else that a short command does.
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
		Name: p.Name, UUID: p.UUID, Capability: fmt.Sprintf("%d.%d", p.Major, p.Minor), Multiprocessors: p.SMs, Bytes: p.TotalMemory,
	}
	c.Code, c.Usable = kernels.For(p.Major, p.Minor)
	return c
}

// FreeMemory returns how many bytes of a card are free.
func FreeMemory(index int) (free int64, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the context ends with the thread
		var card *driver.Context
		if card, err = driver.Open(index); err == nil {
			free, _, err = card.Memory()
			err = errors.Join(err, card.Close())
		}
	}()
	<-done
	if err != nil {
		err = fmt.Errorf("gpu: ask cuda:%d for its memory: %w", index, err)
	}
	return free, err
}
