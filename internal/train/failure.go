package train

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
)

// ErrDevice is wrapped when the device failed.
var ErrDevice = errors.New("the device failed")

// blame returns err, but where the device has failed, that alone: whatever else
// went wrong came of it.
func blame(dev compute.Device, attempted string, err error) error {
	if err == nil {
		return nil
	}
	if failure := dev.Err(); failure != nil {
		return fmt.Errorf("train: %s: %w: %w", attempted, ErrDevice, failure)
	}
	return err
}

// lost says of a device's failure where the run can go on.
func (r *run) lost(err error) error {
	err = blame(r.dev, fmt.Sprintf("after step %d of %d", r.state.Step, r.steps), err)
	if !errors.Is(err, ErrDevice) {
		return err
	}
	if dir, _, none := checkpoint.Latest(r.out, checkpointPrefix); none == nil {
		return fmt.Errorf("%w; the same command continues from %s", err, dir)
	}
	return fmt.Errorf("%w; there is no checkpoint yet, the same command begins again", err)
}
