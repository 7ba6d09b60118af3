//go:build (mpi || cuda) && linux && (amd64 || arm64)

package mpi

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Command returns a command that starts a program as a number of ranks on this host, with the launcher of the MPI
// library that is installed. The processors are divided among the ranks unless GOMAXPROCS is set.
func Command(ranks int, program string, args ...string) (*exec.Cmd, error) {
	launcher, err := exec.LookPath("mpirun")
	if err != nil {
		if launcher, err = exec.LookPath("mpiexec"); err != nil {
			return nil, fmt.Errorf("mpi: start %d ranks: neither mpirun nor mpiexec is found; install Open MPI or MPICH, such "+
				"as the packages openmpi-bin or mpich of Debian", ranks)
		}
	}
	c := exec.Command(launcher, append([]string{"-n", strconv.Itoa(ranks), program}, args...)...)
	// A terminal sends its signals to a whole process group, and a launcher kills the ranks for most of them.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Env = os.Environ()
	for _, v := range [][2]string{
		{"GOMAXPROCS", strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/ranks))},
		// Open MPI binds a rank to one core unless it is told not to, and refuses more ranks than cores. PRTE is the
		// launcher of its release 5.
		{"OMPI_MCA_hwloc_base_binding_policy", "none"}, {"PRTE_MCA_hwloc_default_binding_policy", "none"},
		{"OMPI_MCA_rmaps_base_oversubscribe", "1"}, {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
		// It also refuses to be started by root, as everything is in many containers.
		{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
		{"PRTE_ALLOW_RUN_AS_ROOT", "1"}, {"PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
	} {
		if os.Getenv(v[0]) == "" {
			c.Env = append(c.Env, v[0]+"="+v[1])
		}
	}
	return c, nil
}

// Stop sends SIGUSR1 to all ranks of a command that was started. Launchers pass it on, and take signals that end a
// process as a reason to kill the ranks.
func Stop(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGUSR1) }
