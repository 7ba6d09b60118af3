//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/lor2c/lor2c/internal/gpu/driver"
	"github.com/lor2c/lor2c/kernels"
)

// status returns the reason why no card can be used, or "" if the driver is ready.
func status() string {
	switch code, why := driver.Status(); code {
	case 0:
		return ""
	case driver.NoLibrary:
		return "no driver: " + why
	case driver.NoDevice:
		return "a driver, but no card"
	default:
		return fmt.Sprintf("the driver cannot be initialized: %s", why)
	}
}

// Probe looks for a driver and for cards. It does not open a card, because that would take longer than everything
// else that a short command does.
func Probe() Report {
	r := Report{Driver: status(), Targets: kernels.Targets(), Missing: driver.Missing()}
	if r.Driver != "" {
		return r
	}
	r.Driver = version()
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

// version names the version of CUDA that the driver supports.
func version() string {
	v := driver.Version()
	return fmt.Sprintf("CUDA %d.%d", v/1000, v%1000/10)
}

func describe(i int) Card {
	p, err := driver.Describe(i)
	if err != nil {
		return Card{Code: err.Error()}
	}
	c := Card{
		Name: p.Name, UUID: p.UUID, Capability: fmt.Sprintf("%d.%d", p.Major, p.Minor), Multiprocessors: p.SMs,
		Bytes: p.TotalMemory,
	}
	c.Code, c.Usable = kernels.Describe(p.Major, p.Minor)
	return c
}

// Inspect opens a card and reads its free memory. If check is set it also opens the card in both precisions, which
// checks its kernels unless that was done before. The card creates one context, because Inspect keeps the first until
// the end.
func Inspect(index int, check bool) (i Inspection) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so that the thread ends with the context
		card, err := driver.Open(index)
		if err == nil {
			i.Free, _, err = card.Memory()
			defer func() { i.MemoryErr = errors.Join(i.MemoryErr, card.Close()) }()
		}
		if err != nil {
			i.MemoryErr = fmt.Errorf("gpu: read the free memory of cuda:%d: %w", index, err)
		}
		if check {
			i.Refused, i.CheckErr = selfCheck(index)
		}
	}()
	<-done
	return i
}

// selfCheck opens a card in both precisions and returns the names of the kernels that gave wrong results.
func selfCheck(index int) (refused []string, err error) {
	for _, narrow := range []bool{false, true} {
		dev, err := Open(Options{Index: index, Narrow: narrow})
		if err != nil {
			return nil, err
		}
		refused = append(refused, dev.(*Device).Refused()...)
		if err := dev.Close(); err != nil {
			return nil, err
		}
	}
	slices.Sort(refused)
	return slices.Compact(refused), nil
}
