package group

import (
	"fmt"
	"strconv"

	"github.com/lor2c/lor2c/internal/place"
)

// World says as which of how many processes a launcher has started this one.
type World struct {
	Rank, Size int
	// Launcher names what started the processes, for messages; empty if nothing did.
	Launcher string
	// MPI says that the launcher prepares its processes for MPI.
	MPI bool
}

// launchers lists the variables in which launchers say the number of processes and that of this one. The first whose
// two variables are both set is taken, because a launcher may run inside a job of another.
var launchers = []struct {
	name, size, rank string
	mpi              bool
}{
	{"Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", true},
	{"a launcher with PMI, as MPICH's mpiexec", "PMI_SIZE", "PMI_RANK", true},
	// SLURM_NTASKS is also set in the script of a job, which is one process.
	{"Slurm's srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", true},
	{"torchrun", "WORLD_SIZE", "RANK", false},
}

// ReadWorld returns the world that the environment describes: Size is 1 without a launcher. It returns an error for
// numbers that no launcher sets.
func ReadWorld(getenv func(string) string) (World, error) {
	for _, l := range launchers {
		sizeText, rankText := getenv(l.size), getenv(l.rank)
		if sizeText == "" || rankText == "" {
			continue
		}
		size, err := strconv.Atoi(sizeText)
		if err != nil || size < 1 {
			return World{}, place.Mistake(fmt.Errorf("group: read the environment: %s is %s; want the number of processes, "+
				"1 or more", l.size, place.Quote(sizeText)))
		}
		rank, err := strconv.Atoi(rankText)
		if err != nil || rank < 0 || rank >= size {
			return World{}, place.Mistake(fmt.Errorf("group: read the environment: %s is %s; want the number of this process, "+
				"0 to %d, because %s is %d", l.rank, place.Quote(rankText), size-1, l.size, size))
		}
		return World{Rank: rank, Size: size, Launcher: l.name, MPI: l.mpi}, nil
	}
	return World{Size: 1}, nil
}
