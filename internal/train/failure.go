package train

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
)

// ErrDevice is wrapped by errors that the device's failure caused.
var ErrDevice = errors.New("the device failed")

// blame returns err, or the device's failure instead of err if the device has
// failed, because then err is a consequence of it.
func blame(dev compute.Device, attempted string, err error) error {
	if err == nil {
		return nil
	}
	if failure := dev.Err(); failure != nil {
		return fmt.Errorf("train: %s: %w: %w", attempted, ErrDevice, failure)
	}
	return err
}

// lost adds to an error of a failed device from which checkpoint the run can
// continue. It returns other errors unchanged.
func (r *run) lost(err error) error {
	err = blame(r.dev, fmt.Sprintf("after step %d of %d", r.state.Step, r.steps), err)
	if !errors.Is(err, ErrDevice) {
		return err
	}
	if dir, _, none := checkpoint.Latest(r.out, checkpointPrefix); none == nil {
		return fmt.Errorf("%w; the same command continues from %s", err, dir)
	}
	return fmt.Errorf("%w; there is no checkpoint yet, so the same command starts from the beginning", err)
}
