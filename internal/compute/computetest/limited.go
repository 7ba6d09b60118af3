package computetest

import "github.com/lor2c/lor2c/internal/compute"

// Limited is a device whose memory has a given size, for tests of what is planned before it is allocated. It reports
// the limit and does not enforce it.
type Limited struct {
	compute.Device
	Memory int64 // bytes for tensors that stay allocated
}

// Stats returns those of the device, with the bytes of Memory that are left as free.
func (d *Limited) Stats() compute.Stats {
	s := d.Device.Stats()
	s.Free = d.Memory - s.PersistentBytes
	return s
}
