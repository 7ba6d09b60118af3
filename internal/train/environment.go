package train

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/runlog"
)

// environment returns what a run records of the device and the data. hashes are the SHA-256 of the data files.
func environment(o Options, hashes map[string]string) runlog.Env {
	env := runlog.Env{Device: o.Device.Name(), BLAS: o.BLAS, DataSHA256: hashes}
	if card, ok := o.Device.(interface {
		Driver() string
		Refused() []string
	}); ok {
		env.Driver, env.Refused = card.Driver(), card.Refused()
	}
	return env.Here()
}

// noteRounding notes how the environment of this process differs from the one of the steps before the checkpoint from
// in whatever may change the last bits of a result.
func (r *run) noteRounding(now runlog.Env, from string) {
	env, ok := runlog.ReadEnv(filepath.Dir(filepath.Clean(from)), r.state.Step)
	if !ok {
		return
	}
	was, is := rounding(env), rounding(now)
	var changes []string
	for _, d := range identity.CompareMaps(was, is) {
		if was[d.Name] != "" { // an older lor2c recorded less
			changes = append(changes, fmt.Sprintf("%s is %s and was %s", d.Name, d.Now, d.Was))
		}
	}
	if changes != nil {
		r.note("note: since step %d the %s; results may differ in the last bits from those of an uninterrupted run",
			r.state.Step, strings.Join(changes, ", the "))
	}
}

// sameBits replaces the names of kernels whose results have the same bits.
var sameBits = strings.NewReplacer(", AVX-512", ", AVX", ", AVX2", ", AVX")

// rounding returns the parts of an environment that may change the last bits of a result.
func rounding(e runlog.Env) map[string]string {
	parts := map[string]string{
		"device": sameBits.Replace(compute.Rounding(e.Device)), "architecture": e.Arch, "version of lor2c": e.Version,
		"revision of lor2c": e.Revision, "version of Go": e.GoVersion,
	}
	if strings.Contains(e.Device, "openblas") { // the device's name has no version and no processor
		parts["BLAS"] = e.BLAS
	}
	if e.Driver != "" {
		parts["driver"] = e.Driver
		parts["set of kernels that failed the self-check"] = cmp.Or(strings.Join(e.Refused, " "), "none")
	}
	return parts
}
